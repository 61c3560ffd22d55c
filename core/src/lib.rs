//! Every decision of fieldhook that needs no I/O.
pub mod clock;
pub mod event;
pub mod ingest;
pub mod problem;
pub mod proof;
pub mod reply;
pub mod request;
pub mod settings;
