//! A product's devices as Particle's clients read them: pages by number, not by cursor
//! (PARTICLE.md, "Streams and REST").

use crate::json;
use crate::problem::{Code, Problem, Result};
use crate::request::Request;
use serde::{Deserialize, Serialize};

/// Devices on a page, if the query does not say: as on Particle.
const PER_PAGE: usize = 25;
/// The most devices on a page.
const PER_PAGE_MAX: usize = 1_000;

/// A device in a product's list, of what `GET /v1/devices/{id}` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    id: String,
    name: String,
    online: bool,
    connected: bool,
    first_heard: Option<String>,
    last_heard: Option<String>,
    product_id: Option<String>,
    firmware_version: Option<String>,
}

impl Device {
    /// From what a device is shown as; `None` for what is no device.
    pub fn read(json: &str) -> Option<Self> {
        json::read(json).ok()
    }

    pub fn is_of(&self, product: &str) -> bool {
        self.product_id.as_deref() == Some(product)
    }
}

/// What part of the list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages {
    /// From 1.
    page: usize,
    per_page: usize,
    /// Parts of the id, which is a device's name here.
    parts: Vec<String>,
}

impl Pages {
    /// # Errors
    /// `bad-query`, naming the parameter.
    pub fn read(request: &Request) -> Result<Self> {
        let number = |name: &str, default: usize, most: usize| match request.query_value(name) {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
                Problem::field(Code::BadQuery, name, format!("{name} must be a number from 1 to {most}"))
            }),
        };
        let part = |name: &str| request.query_value(name).map(|text| text.into_owned());
        Ok(Pages {
            page: number("page", 1, usize::MAX >> 12)?,
            per_page: number("per_page", PER_PAGE, PER_PAGE_MAX)?,
            parts: ["deviceId", "deviceName"].into_iter().filter_map(part).collect(),
        })
    }

    /// The page as JSON, of all the product's devices in their order.
    pub fn show(&self, devices: Vec<Device>) -> String {
        #[derive(Serialize)]
        struct Shown {
            devices: Vec<Device>,
            /// Particle names a product's customers here; there are none.
            customers: [(); 0],
            meta: Meta,
        }
        #[derive(Serialize)]
        struct Meta {
            page: usize,
            per_page: usize,
            total_pages: usize,
            total: usize,
        }
        let asked = |device: &Device| self.parts.iter().all(|part| device.id.contains(part.as_str()));
        let devices: Vec<Device> = devices.into_iter().filter(asked).collect();
        let total = devices.len();
        let meta = Meta {
            page: self.page,
            per_page: self.per_page,
            total_pages: total.div_ceil(self.per_page),
            total,
        };
        let before = (self.page - 1).saturating_mul(self.per_page);
        let devices = devices.into_iter().skip(before).take(self.per_page).collect();
        serde_json::to_string(&Shown { devices, customers: [], meta }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Body, Headers};

    fn pages(query: &str) -> Result<Pages> {
        let url = format!("https://x.dev/v1/products/12/devices?{query}");
        Pages::read(&Request::new("GET", &url, Headers::default(), Body::TooLarge))
    }

    fn device(id: &str, product: &str) -> Device {
        let json = format!(
            r#"{{"id":"{id}","name":"{id}","online":true,"connected":true,"first_heard":null,"last_heard":null,
            "product_id":"{product}","firmware_version":null,"more":1}}"#
        );
        Device::read(&json).unwrap()
    }

    fn ids(json: &str) -> Vec<String> {
        let shown: serde_json::Value = serde_json::from_str(json).unwrap();
        shown["devices"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn pages_are_numbered_from_one() {
        let all = || ["a1", "a2", "b1"].map(|id| device(id, "12")).to_vec();
        let show = |query| pages(query).unwrap().show(all());
        assert_eq!(ids(&show("")), ["a1", "a2", "b1"]);
        assert_eq!(ids(&show("page=2&per_page=2")), ["b1"]);
        assert!(ids(&show("page=3&per_page=2")).is_empty());
        assert_eq!(ids(&show("deviceName=a")), ["a1", "a2"]);
        let meta = r#""customers":[],"meta":{"page":2,"per_page":2,"total_pages":2,"total":3}}"#;
        assert!(show("page=2&per_page=2").ends_with(meta));
    }

    #[test]
    fn a_product_is_told_by_its_whole_id() {
        assert!(device("d", "12").is_of("12") && !device("d", "12").is_of("1"));
        assert!(Device::read("[]").is_none());
    }

    #[test]
    fn bad_parameters_are_named() {
        for (query, name) in [("page=0", "page"), ("page=x", "page"), ("per_page=1001", "per_page")] {
            assert_eq!(pages(query).unwrap_err().field.as_deref(), Some(name), "{query}");
        }
        assert!(pages("page=99999999999999999999").is_err());
    }
}
