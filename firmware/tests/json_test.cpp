// Reading JSON: what is accepted, what is refused, and what values come out.

#include "../fieldhook.h"
#include "check.h"
#include <cmath>

using fieldhook::Json;

namespace {

bool valid(const std::string& text) {
    // On the heap and unterminated, so that the sanitizer sees a byte read too many.
    char* copy = static_cast<char*>(std::malloc(text.size() + 1));
    std::memcpy(copy, text.data(), text.size());
    char* exact = static_cast<char*>(std::realloc(copy, text.empty() ? 1 : text.size()));
    const bool result = Json::parse(exact, text.size()).kind() != Json::Kind::absent;
    std::free(exact);
    return result;
}

std::string decoded(const char* json) {
    char out[64];
    return Json::parse(json).read(out, sizeof out) ? out : "(no)";
}

double real(const char* json) {
    double out = -1;
    Json::parse(json).read(out);
    return out;
}

std::string raw(const Json& json) {
    char out[128] = "(absent)";
    json.copy(out, sizeof out);
    return out;
}

std::string leaves(const char* json) {
    const Json parsed = Json::parse(json);
    fieldhook::Leaves leaves(parsed);
    fieldhook::Leaf leaf;
    std::string all;
    char path[64];
    while (leaves.next(leaf)) {
        CHECK(leaf.path.copy(path, sizeof path));
        CHECK(leaf.is(path));
        all += std::string(path) + "=" + raw(leaf.value) + ";";
    }
    return all;
}

}  // namespace

TEST("well-formed JSON is accepted") {
    for (const char* text : {"{}", "[]", "0", "-0", "-1.5e+10", "1E5", "\"\"", "true", "false", "null", " { \"a\" : [ 1 , 2 ] } \n",
                             "{\"a\":{\"b\":{}}}", "[[],[{}]]", "\"\\u00e9\\n\\/\\\\\"", "\"é€😀\"", "[1,\"a\",null]"}) {
        CHECK(valid(text));
    }
}

TEST("malformed JSON is refused") {
    for (const char* text : {"", " ", "{", "}", "[", "]", "[1", "[1,", "[1,]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}", "{1:1}",
                             "{\"a\" 1}", "{,}", "[,]", "[1 2]", "{}{}", "[}", "{]", "01", "1.", ".5", "+1", "1e", "1e+", "-", "tru", "nul", "nulll",
                             "True", "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"", "'a'", "{\"a\":1}}", "NaN", "\x7f"}) {
        CHECK(!valid(text));
    }
    CHECK(!valid(std::string("\"a\0b\"", 5)));
    CHECK(!valid(std::string("\"\\\0\"", 4)));
    CHECK(!valid(std::string("{}\0", 3)));
}

TEST("bytes that are not UTF-8 are refused") {
    for (const char* text : {"\"\x80\"", "\"\xc3\"", "\"\xc0\xaf\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"", "\"\xf0\x80\x80\x80\"",
                             "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xff\"", "\"\xe2\x82\"", "\"\xf0\x9f\x98"}) {
        CHECK(!valid(text));
    }
}

TEST("nesting is bounded") {
    CHECK(valid(std::string(16, '[') + std::string(16, ']')));
    CHECK(!valid(std::string(17, '[') + std::string(17, ']')));
    CHECK(!valid(std::string(100000, '[')));
}

TEST("every prefix of a document is refused") {
    const std::string text = "{\"v\":17,\"d\":{\"a\":[1,-2.5e3,{\"b\":\"\\u00e9é\"}]},\"c\":[{\"id\":5,\"n\":\"x\",\"a\":null}],\"more\":1}";
    CHECK(valid(text));
    for (size_t length = 0; length < text.size(); length++) CHECK(!valid(text.substr(0, length)));
}

TEST("strings are decoded: escapes, surrogate pairs, and halves of them") {
    EQUAL(decoded("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "a\"\\/\b\f\n\r\t");
    EQUAL(decoded("\"K\\u00fcche \\u20AC\""), "Küche €");
    EQUAL(decoded("\"\\ud83d\\ude00\""), "😀");
    EQUAL(decoded("\"\\ud83dx\""), "\xEF\xBF\xBDx");
    EQUAL(decoded("\"\\ud83d\\u0041\""), "\xEF\xBF\xBD" "A");
    EQUAL(decoded("\"\\ude00\""), "\xEF\xBF\xBD");
    EQUAL(decoded("\"\\u007f\\u07ff\\uffff\""), "\x7f\xDF\xBF\xEF\xBF\xBF");
}

TEST("a string that does not fit, or holds a NUL, leaves the buffer as it was") {
    char out[4] = "abc";
    CHECK(!Json::parse("\"1234\"").read(out, sizeof out));
    CHECK(!Json::parse("\"\\u0000\"").read(out, sizeof out));
    CHECK(!Json::parse("12").read(out, sizeof out));
    EQUAL(out, "abc");
    CHECK(Json::parse("\"123\"").read(out, sizeof out));
    EQUAL(out, "123");
    CHECK(!Json::parse("\"\"").read(out, 0));
}

TEST("strings are compared as decoded") {
    CHECK(Json::parse("\"caf\\u00e9\"").is("café"));
    CHECK(!Json::parse("\"caf\"").is("café"));
    CHECK(!Json::parse("\"café\"").is("caf"));
    CHECK(!Json::parse("\"a\\u0000b\"").is("a"));
    CHECK(!Json::parse("5").is("5"));
    CHECK(Json::parse("\"\"").is(""));
}

TEST("whole numbers are read where they fit") {
    int number = 7;
    CHECK(Json::parse("21").read(number) && number == 21);
    CHECK(Json::parse("-21").read(number) && number == -21);
    CHECK(Json::parse("21.0").read(number) && number == 21);
    CHECK(Json::parse("2.1e1").read(number) && number == 21);
    CHECK(Json::parse("2100e-2").read(number) && number == 21);
    CHECK(!Json::parse("21.5").read(number));
    CHECK(!Json::parse("3000000000").read(number));
    CHECK(!Json::parse("1e99").read(number));
    CHECK(!Json::parse("true").read(number));
    EQUAL(number, 21);
    int8_t small = 0;
    CHECK(Json::parse("-128").read(small) && small == -128);
    CHECK(!Json::parse("-129").read(small) && !Json::parse("128").read(small));
    uint8_t percent = 0;
    CHECK(Json::parse("255").read(percent) && !Json::parse("256").read(percent) && !Json::parse("-1").read(percent));
    CHECK(Json::parse("-0").read(percent) && percent == 0);
    int64_t large = 0;
    CHECK(Json::parse("-9223372036854775808").read(large) && large == std::numeric_limits<int64_t>::min());
    CHECK(!Json::parse("9223372036854775808").read(large));
    uint64_t largest = 0;
    CHECK(Json::parse("18446744073709551609").read(largest));
    CHECK(!Json::parse("18446744073709551616").read(largest));
    CHECK(!Json::parse("1234567890123456789012").read(largest));
}

TEST("numbers are read as reals") {
    EQUAL(real("21.5"), 21.5);
    EQUAL(real("-0.1"), -0.1);
    CHECK(real("0.1") == 0.1 && real("1e22") == 1e22 && real("123456.789") == 123456.789);
    CHECK(std::fabs(real("1.7976931348623157e308") / 1.7976931348623157e308 - 1) < 1e-14);
    CHECK(std::fabs(real("3.141592653589793238462643383279") - 3.141592653589793) < 1e-15);
    EQUAL(real("1e-999"), 0.0);
    EQUAL(real("0e999999999999"), 0.0);
    EQUAL(real("1e999"), -1.0);
    EQUAL(real("\"1\""), -1.0);
    float single = 5;
    CHECK(!Json::parse("1e39").read(single) && single == 5);
    CHECK(Json::parse("21.25").read(single) && single == 21.25f);
}

TEST("members are found by name, and steps can be chained") {
    const Json json = Json::parse("{\"a\":{\"b\":[1,{\"c\":2}]},\"x\\u0079\":true,\"a2\":1,\"a2\":2}");
    EQUAL(raw(json["a"]["b"]), "[1,{\"c\":2}]");
    EQUAL(raw(json["xy"]), "true");
    EQUAL(raw(json["a2"]), "2");
    CHECK(json["no"]["such"]["thing"].kind() == Json::Kind::absent);
    int sum = 0, item = 0;
    fieldhook::Items items(json["a"]["b"]);
    while (items.next()) {
        if (items.value().read(item)) sum += item;
    }
    EQUAL(sum, 1);
}

TEST("raw text keeps its digits") {
    EQUAL(raw(Json::parse(" 21.50 ")), "21.50");
    char small[3] = "ab";
    CHECK(!Json::parse("123").copy(small, sizeof small));
    EQUAL(small, "ab");
}

TEST("leaves come depth first, arrays and empty objects whole") {
    EQUAL(leaves("{}"), "");
    EQUAL(leaves("{\"a\":1,\"b\":{\"c\":null,\"d\":{\"e\":[1,{\"f\":2}]}},\"g\":{}}"), "/a=1;/b/c=null;/b/d/e=[1,{\"f\":2}];/g={};");
    EQUAL(leaves(" { \"a\" : { \"b\" : { \"c\" : 1 } } , \"d\" : \"x\" } "), "/a/b/c=1;/d=\"x\";");
    EQUAL(leaves("{\"a/b\":1,\"~\":2,\"\":3,\"\\u00e9\":4}"), "/a~1b=1;/~0=2;/=3;/é=4;");
    EQUAL(leaves("[1]"), "");
}

TEST("a path says its keys") {
    const Json json = Json::parse("{\"a\":{\"b/c\":1}}");
    fieldhook::Leaves leaves(json);
    fieldhook::Leaf leaf;
    CHECK(leaves.next(leaf));
    EQUAL(leaf.path.depth(), 2);
    CHECK(leaf.path.key(1).is("b/c") && leaf.path.key(2).kind() == Json::Kind::absent);
    CHECK(!leaf.is("/a") && !leaf.is("/a/b/c") && !leaf.is("/a/b~1c/") && !leaf.is("") && leaf.is("/a/b~1c"));
    char small[7] = "abc";
    CHECK(!leaf.path.copy(small, sizeof small));
    EQUAL(small, "abc");
}
