//! What the specification leaves open and fieldhook decides: values, lookup, documents, errors.

#![allow(clippy::unwrap_used)]

use fieldhook_core::template::{Context, Document, Fields, Parts, Template, Variables};

fn render(template: &str, data: &str) -> String {
    let fields = Fields::parse(data).unwrap();
    Template::parse(template).unwrap().render(&Context::of(&fields), 10_000).unwrap()
}

fn render_json(document: &str, data: &str) -> String {
    let fields = Fields::parse(data).unwrap();
    Document::parse_json(document).unwrap().render(&Context::of(&fields), 10_000).unwrap()
}

fn error(template: &str) -> String {
    Template::parse(template).unwrap_err().to_string()
}

#[test]
fn numbers_keep_their_digits() {
    let data = r#"{"a":20.00,"b":12345678901234567890123,"c":1E+5,"d":-0.0}"#;
    assert_eq!(render("{{a}} {{b}} {{c}} {{d}}", data), "20.00 12345678901234567890123 1E+5 -0.0");
}

#[test]
fn null_and_missing_are_empty_and_booleans_are_json() {
    assert_eq!(
        render("[{{n}}{{missing}}{{a.b.c}}] {{t}} {{f}}", r#"{"n":null,"t":true,"f":false}"#),
        "[] true false"
    );
}

#[test]
fn arrays_and_objects_are_compact_json_in_their_own_order() {
    let data = r#"{ "o" : { "z" : 1.0, "a" : [ "x\u00e9\"", { }, [ ] ] } }"#;
    assert_eq!(render("{{{o}}}", data), r#"{"z":1.0,"a":["xé\"",{},[]]}"#);
    assert_eq!(render("{{o.a}}", data), "[&quot;xé\\&quot;&quot;,{},[]]");
    assert_eq!(render("{{{.}}}", "[1, 2]"), "[1,2]");
}

#[test]
fn an_index_leads_into_an_array_anywhere() {
    assert_eq!(render("{{1.a}}{{#l}}{{0}}{{1}};{{/l}}", r#"[{},{"a":"x"}]"#), "x");
    assert_eq!(render("{{#l}}{{0}}{{1}};{{/l}}", r#"{"l":[[1,2],[3,4]]}"#), "12;34;");
    assert_eq!(render("[{{l.2}}{{l.-1}}{{l.+1}}{{l.99999999999999999999}}]", r#"{"l":[1,2]}"#), "[]");
}

#[test]
fn sections_show_what_is_true_in_javascript() {
    let data = r#"{"v":[0, 0.0, -0, "", null, false, [], 1, "0", true, {}, [0]]}"#;
    assert_eq!(render("{{#v}}{{#.}}y{{/.}}{{^.}}n{{/.}}{{/v}}", data), "nnnnnnnyyyyy");
}

#[test]
fn the_nearest_section_wins_then_the_variables_then_the_fields() {
    let fields = Fields::parse(r#"{"PRODUCT_ID":"field","s":{"PRODUCT_ID":"near"},"t":{}}"#).unwrap();
    let template =
        Template::parse("{{PRODUCT_ID}} {{#s}}{{PRODUCT_ID}}{{/s}} {{#t}}{{PRODUCT_ID}}{{/t}}").unwrap();
    let shown = |parts| template.render(&Context::new(&Variables::new(parts), &fields), 100).unwrap();
    assert_eq!(shown(Parts { product_id: Some("12"), ..Parts::default() }), "12 near 12");
    assert_eq!(shown(Parts::default()), " near ", "an absent variable is not the device's to fill");
    assert_eq!(template.render(&Context::of(&fields), 100).unwrap(), "field near field");
}

#[test]
fn every_variable_has_its_name() {
    let parts = Parts {
        device_id: "dev",
        event_name: "name",
        event_value: r#"{"a":1.0}"#,
        published_at: "at",
        event_id: "id",
        product_id: Some("p"),
        product_user_id: Some("u"),
        product_version: Some("v"),
    };
    let fields = Fields::default();
    let variables = Variables::new(parts).with("FIELDHOOK_DUE", "due").with("PRODUCT_ID", "not yours");
    let context = Context::new(&variables, &fields);
    let cases = [
        ("{{PARTICLE_DEVICE_ID}} {{SPARK_CORE_ID}}", "dev dev"),
        ("{{PARTICLE_EVENT_NAME}} {{SPARK_EVENT_NAME}}", "name name"),
        ("{{{PARTICLE_EVENT_VALUE}}} {{{SPARK_EVENT_VALUE}}}", r#"{"a":1.0} {"a":1.0}"#),
        ("{{PARTICLE_PUBLISHED_AT}} {{SPARK_PUBLISHED_AT}}", "at at"),
        ("{{PARTICLE_EVENT_ID}} {{PRODUCT_ID}} {{PRODUCT_USER_ID}} {{PRODUCT_VERSION}}", "id p u v"),
        (
            "{{{PARTICLE_EVENT_JSON}}} {{PARTICLE_EVENT_BASE64}}",
            r#"{"event":"name","data":"{\"a\":1.0}","published_at":"at","coreid":"dev","event_id":"id","productID":"p","userid":"u","fw_version":"v"} eyJldmVudCI6Im5hbWUiLCJkYXRhIjoie1wiYVwiOjEuMH0iLCJwdWJsaXNoZWRfYXQiOiJhdCIsImNvcmVpZCI6ImRldiIsImV2ZW50X2lkIjoiaWQiLCJwcm9kdWN0SUQiOiJwIiwidXNlcmlkIjoidSIsImZ3X3ZlcnNpb24iOiJ2In0="#,
        ),
        ("{{#FIELDHOOK_DUE}}<{{.}}>{{/FIELDHOOK_DUE}}{{FIELDHOOK_DUE.x}}", "<due>"),
    ];
    for (template, expected) in cases {
        assert_eq!(Template::parse(template).unwrap().render(&context, 1_000).unwrap(), expected);
    }
}

#[test]
fn names_may_have_spaces_and_tags_may_have_them_everywhere() {
    assert_eq!(
        render("{{Battery Level}} {{ # a }}{{ ^ b }}x{{ / b }}{{ / a }}", r#"{"Battery Level":5,"a":1}"#),
        "5 x"
    );
}

#[test]
fn partials_are_empty_and_leave_no_line() {
    assert_eq!(render("a\n  {{> x }}\nb{{>y}}c{{=<% %>=}}<%>z%>", "{}"), "a\nbc");
}

#[test]
fn braces_of_json_may_touch_those_of_a_tag() {
    let data = r#"{"x":1}"#;
    assert_eq!(render(r#"{"a":{"b":{{{x}}}}}"#, data), r#"{"a":{"b":1}}"#);
    assert_eq!(render(r#"{"a":{"b":{{x}}}}"#, data), r#"{"a":{"b":1}}"#);
}

#[test]
fn a_document_keeps_its_shape_whatever_the_values() {
    let data = r#"{"q":"\"},{\\","o":{"a":"\n"},"n":1}"#;
    assert_eq!(
        render_json(r#"{"a":"{{{q}}}","b":"{{{o}}}","c":"{{n}}"}"#, data),
        r#"{"a":"\"},{\\","b":"{\"a\":\"\\n\"}","c":"1"}"#
    );
    assert_eq!(render_json(r#"{"{{{q}}}":{"{{n}}":[]}}"#, data), r#"{"\"},{\\":{"1":[]}}"#);
    assert_eq!(
        render_json(r#"["{{#n}}{{{q}}}{{/n}}", 1.50, true, null, {}, []]"#, data),
        r#"["\"},{\\",1.50,true,null,{},[]]"#
    );
    assert_eq!(render_json(r#"{"a":"{{q}}"}"#, data), r#"{"a":"&quot;},{\\"}"#);
}

#[test]
fn a_document_of_text_is_not_escaped() {
    assert_eq!(render_json(r#""{\"a\":{{{a}}}}""#, r#"{"a":[1]}"#), r#"{"a":[1]}"#);
    assert_eq!(render_json("17", "{}"), "17");
}

#[test]
fn keys_that_render_alike_leave_the_last() {
    let data = r#"{"a":"k"}"#;
    assert_eq!(render_json(r#"{"{{a}}":1,"x":2,"k":3,"y":4}"#, data), r#"{"x":2,"k":3,"y":4}"#);
}

#[test]
fn documents_say_where_names_are_used() {
    let document = Document::parse_json(r#"{"a":[{"b":"{{#x.y}}{{z}}{{/x.y}}"}],"{{k}}":1}"#).unwrap();
    for (name, used) in [("x", true), ("z", true), ("k", true), ("y", false), ("a", false)] {
        assert_eq!(document.mentions(name), used, "{name}");
    }
    assert!(Document::text("{{{FIELDHOOK_DUE}}}").unwrap().mentions("FIELDHOOK_DUE"));
}

#[test]
fn errors_say_what_and_where() {
    let cases = [
        ("a\nbé {{x", "line 2, column 4: this tag is never closed: }} is missing"),
        ("{{{x}}", "line 1, column 1: this tag is never closed: }}} is missing"),
        ("{{x {{y}}", "line 1, column 1: this tag is never closed: }} is missing"),
        ("{{! x", "line 1, column 1: this tag is never closed: }} is missing"),
        ("{{#a}}x", "line 1, column 1: the section {{#a}} is never closed: {{/a}} is missing"),
        ("{{^a}}x", "line 1, column 1: the section {{^a}} is never closed: {{/a}} is missing"),
        ("{{#a}}\n{{/b}}", "line 2, column 1: {{/b}} comes while a is open: {{/a}} is missing"),
        ("x{{/b}}", "line 1, column 2: {{/b}} closes a section that is not open"),
        ("{{ }}", "line 1, column 1: this tag has no name"),
        ("{{{}}}", "line 1, column 1: this tag has no name"),
    ];
    for (template, expected) in cases {
        assert_eq!(error(template), expected);
    }
    for template in ["{{=<%=}}", "{{=a b c=}}", "{{= = =}}", "{{=a", "{{=a b}}", "{{===}}"] {
        assert!(
            error(template).starts_with("line 1, column 1: a change of delimiters names two"),
            "{template}"
        );
    }
    for template in ["{{{{x}}}}", "{{a\nb}}", "{{{x} }}}"] {
        assert!(error(template).starts_with("line 1, column 1: a name has at most"), "{template}");
    }
}

#[test]
fn errors_in_documents_say_in_which_string() {
    let error = |text| Document::parse_json(text).unwrap_err().to_string();
    assert_eq!(
        error(r#"{"a/b":["x","\n{{y"]}"#),
        "in /a~1b/1, line 2, column 1: this tag is never closed: }} is missing"
    );
    assert_eq!(error(r#"{"{{":1}"#), "in /{{, line 1, column 1: this tag is never closed: }} is missing");
    assert_eq!(error("{\"a\":1,\n}"), "line 2, column 1: this is not JSON");
    assert_eq!(error(""), "line 1, column 1: this is not JSON");
}
