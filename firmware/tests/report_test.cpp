// Writing reports: bounds, escaping, numbers, and what ends them.

#include "../fieldhook.h"
#include "check.h"
#include <cmath>
#include <limits>

using fieldhook::Json;
using fieldhook::Report;

namespace {

template <typename Write>
std::string written(Write write, size_t size = 256) {
    char* buffer = static_cast<char*>(std::malloc(size + 1));
    std::memset(buffer, 'x', size + 1);
    Report report(buffer, size);
    write(report);
    const size_t length = report.finish();
    CHECK(buffer[size] == 'x');
    const std::string text = size ? buffer : "";
    EQUAL(text.size(), length);
    std::free(buffer);
    return text;
}

template <typename T>
std::string number(T value, unsigned decimals) {
    return written([=](Report& report) { report.add("n", value, decimals); });
}

}  // namespace

TEST("an empty report is an empty object") { EQUAL(written([](Report&) {}), "{}"); }

TEST("members of every kind") {
    EQUAL(written([](Report& report) {
              report.add("temperature", 21.437, 1).add("heating", true).add("off", false).add("mode", "eco");
              report.add("n", -5).add("u", 4000000000u).remove("old").add("f", 1.5f);
              report.add("raw", Json::parse("[1, 2.50]"));
          }),
          "{\"temperature\":21.4,\"heating\":true,\"off\":false,\"mode\":\"eco\",\"n\":-5,\"u\":4000000000,\"old\":null,\"f\":1.5,\"raw\":[1, 2.50]}");
}

TEST("objects inside") {
    EQUAL(written([](Report& report) {
              report.open("a").add("b", 1).open("c").close().close().add("d", 2).open("e").open("f").add("g", 3);
          }),
          "{\"a\":{\"b\":1,\"c\":{}},\"d\":2,\"e\":{\"f\":{\"g\":3}}}");
}

TEST("numbers are rounded, and have no zeros at the end") {
    EQUAL(number(21.25, 1), "{\"n\":21.3}");
    EQUAL(number(21.0, 3), "{\"n\":21}");
    EQUAL(number(0.05, 2), "{\"n\":0.05}");
    EQUAL(number(-0.04, 1), "{\"n\":0}");
    EQUAL(number(-12.345, 2), "{\"n\":-12.35}");
    EQUAL(number(0.0, 3), "{\"n\":0}");
    EQUAL(number(9.9996, 3), "{\"n\":10}");
    EQUAL(number(100.0, 0), "{\"n\":100}");
    EQUAL(number(0.000000001, 20), "{\"n\":0.000000001}");
}

TEST("the largest whole numbers are written") {
    EQUAL(written([](Report& report) {
              report.add("a", std::numeric_limits<int64_t>::min()).add("b", std::numeric_limits<uint64_t>::max()).add("c", int8_t(-128));
          }),
          "{\"a\":-9223372036854775808,\"b\":18446744073709551615,\"c\":-128}");
}

TEST("a number that is none is left out, because null would delete the key") {
    for (double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e18}) {
        EQUAL(written([value](Report& report) {
                  report.add("n", value).add("ok", 1);
                  CHECK(!report.complete());
              }),
              "{\"ok\":1}");
    }
}

TEST("an absent value and a null pointer are left out") {
    EQUAL(written([](Report& report) {
              report.add("a", Json()).add("b", static_cast<const char*>(nullptr));
              CHECK(!report.complete());
          }),
          "{}");
}

TEST("keys and strings are escaped") {
    EQUAL(written([](Report& report) { report.add("k\"\\", "a\"b\\c\n\t\x01\x1f/é😀\x7f"); }),
          "{\"k\\\"\\\\\":\"a\\\"b\\\\c\\u000a\\u0009\\u0001\\u001f/é😀\x7f\"}");
    EQUAL(written([](Report& report) { report.add("k", "a\xff\xc3(\xe2\x82"); }),
          "{\"k\":\"a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\"}");
}

TEST("in a buffer of any size what is written is valid, and what does not fit is left out whole") {
    std::string longest;
    for (size_t size = 0; size < 140; size++) {
        const std::string text = written(
            [](Report& report) {
                report.add("first", 1).open("in").add("text", "a\"b").open("deep").add("x", true).close().add("y", 2.5).close();
                report.add("last", "the end").remove("gone");
            },
            size);
        CHECK(size < 3 ? text.empty() : Json::parse(text.c_str()).kind() == Json::Kind::object);
        CHECK(text.size() >= (longest.size() > 60 ? 60 : 0));
        longest = text;
    }
    EQUAL(longest, "{\"first\":1,\"in\":{\"text\":\"a\\\"b\",\"deep\":{\"x\":true},\"y\":2.5},\"last\":\"the end\",\"gone\":null}");
    EQUAL(written([](Report& report) { report.add("first", 1); }, longest.size()), "{\"first\":1}");
}

TEST("an exact buffer is enough") {
    const std::string text = "{\"a\":{\"b\":1}}";
    const auto write = [](Report& report) { report.open("a").add("b", 1).close(); };
    EQUAL(written(write, text.size() + 1), text);
    EQUAL(written(write, text.size()), "{\"a\":{}}");
}

TEST("what is added inside an object that did not fit is left out with it") {
    EQUAL(written([](Report& report) { report.open("much-too-long").add("a", 1).open("b").close().close().add("c", 2); }, 10), "{\"c\":2}");
}

TEST("nesting is bounded, and closing too often does nothing") {
    const std::string text = written([](Report& report) {
        for (int i = 0; i < 40; i++) report.open("a");
        for (int i = 0; i < 60; i++) report.close();
        report.add("b", 1);
    });
    CHECK(Json::parse(text.c_str()).kind() == Json::Kind::object);
    CHECK(text.substr(text.size() - 7) == ",\"b\":1}");
}

TEST("after its end nothing is added") {
    char buffer[32];
    Report report(buffer, sizeof buffer);
    report.finish();
    report.add("a", 1).close();
    EQUAL(report.finish(), 0);
    EQUAL(buffer, "{}");
}
