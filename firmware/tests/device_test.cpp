// The contract: what is applied, what is run, what is reported, and what is not done twice.

#include "../fieldhook.h"
#include "cloud.h"
#include <map>

using fieldhook::Command;
using fieldhook::Device;
using fieldhook::Heard;
using fieldhook::Leaf;
using fieldhook::Report;

namespace {

/// A device, what was applied to it and run on it, as text.
template <typename Kind = Device<>>
struct Subject {
    Kind device;
    std::string log;
    bool willing = true;
    uint32_t now = 1000;

    std::string heard;  // outlives the call, as `body` needs it

    Heard hear(const std::string& reply) { return hear(cloud::plain(reply)[0]); }

    Heard hear(const cloud::Part& part) {
        heard = part.bytes;
        return device.receive(
            part.topic.c_str(), heard.data(), heard.size(), now,
            [this](const Leaf& leaf) {
                char path[64], value[64] = "";
                leaf.path.copy(path, sizeof path);
                leaf.value.copy(value, sizeof value);
                log += std::string(path) + "=" + value + ";";
            },
            [this](const Command& command) {
                char name[32] = "", args[64] = "";
                command.name.read(name, sizeof name);
                command.args.copy(args, sizeof args);
                log += "#" + std::to_string(command.id) + " " + name + "(" + args + ");";
                return willing;
            });
    }

    std::string report(size_t size = 512) {
        std::string buffer(size, 'x');
        Report report = device.report(&buffer[0], size);
        report.add("t", 21);
        return report.finish() ? buffer.c_str() : "";
    }

    std::string taken() {
        std::string result;
        result.swap(log);
        return result;
    }
};

}  // namespace

TEST("a reply is applied: values, then commands, then the version is its own") {
    Subject<> it;
    CHECK(it.hear("{\"v\":17,\"d\":{\"target\":21.50,\"in\":{\"a\":null}},\"c\":[{\"id\":5,\"n\":\"reboot\",\"a\":{\"s\":[1]}},{\"id\":6,\"n\":\"blink\"}]}") == Heard::applied);
    EQUAL(it.taken(), "/target=21.50;/in/a=null;#5 reboot({\"s\":[1]});#6 blink();");
    EQUAL(it.device.version(), 17);
    EQUAL(it.report(), "{\"t\":21,\"_v\":17,\"_ack\":[5,6]}");
}

TEST("the order of the members does not matter, and unknown ones are skipped") {
    Subject<> it;
    CHECK(it.hear(" {\"x\":[{\"v\":99}],\"c\":[{\"a\":1,\"z\":0,\"n\":\"go\",\"id\":2}],\"d\":{\"a\":1},\"v\":3}\n") == Heard::applied);
    EQUAL(it.taken(), "/a=1;#2 go(1);");
    EQUAL(it.device.version(), 3);
}

TEST("a device that has heard nothing reports version 0") {
    Subject<> it;
    CHECK(!it.device.reportDue());
    EQUAL(it.report(), "{\"t\":21,\"_v\":0}");
}

TEST("a version below its own is not applied, but its commands are run") {
    Subject<> it;
    it.hear("{\"v\":17,\"d\":{\"a\":2}}");
    it.taken();
    CHECK(it.hear("{\"v\":16,\"d\":{\"a\":1},\"c\":[{\"id\":1,\"n\":\"go\"}],\"more\":1}") == Heard::old);
    EQUAL(it.taken(), "#1 go();");
    EQUAL(it.device.version(), 17);
    CHECK(!it.device.more());
}

TEST("its own version is applied again: the value was changed on the device") {
    Subject<> it;
    it.hear("{\"v\":17,\"d\":{\"a\":2,\"b\":3}}");
    it.taken();
    CHECK(it.hear("{\"v\":17,\"d\":{\"a\":2}}") == Heard::applied);
    EQUAL(it.taken(), "/a=2;");
}

TEST("a partial delta is applied without a change of version, and asks for the rest") {
    Subject<> it;
    it.hear("{\"v\":3}");
    it.report();
    it.device.reported();
    CHECK(it.hear("{\"d\":{\"a\":1},\"more\":1}") == Heard::applied);
    EQUAL(it.taken(), "/a=1;");
    EQUAL(it.device.version(), 3);
    CHECK(it.device.more() && it.device.reportDue());
}

TEST("a whole delta with commands left out has both v and more") {
    Subject<> it;
    CHECK(it.hear("{\"v\":4,\"d\":{\"a\":1},\"more\":true}") == Heard::applied);
    EQUAL(it.device.version(), 4);
    CHECK(it.device.more());
    it.hear("{\"v\":4}");
    CHECK(!it.device.more());
}

TEST("a delta that the cloud repeats is not applied again for 30 s, because a newer one may be between") {
    Subject<> it;
    it.hear("{\"d\":{\"a\":1},\"more\":1}");
    it.hear("{\"v\":5,\"d\":{\"a\":2}}");
    it.taken();
    CHECK(it.hear("{\"d\":{\"a\":1},\"more\":1}") == Heard::repeated);
    EQUAL(it.taken(), "");
    it.now += 30000;
    CHECK(it.hear("{\"d\":{\"a\":1},\"more\":1}") == Heard::applied);
    EQUAL(it.taken(), "/a=1;");
}

TEST("a command is run once and acked as often as it comes") {
    Subject<> it;
    it.hear("{\"c\":[{\"id\":5,\"n\":\"go\"}]}");
    EQUAL(it.taken(), "#5 go();");
    EQUAL(it.report(), "{\"t\":21,\"_v\":0,\"_ack\":[5]}");
    it.device.reported();
    EQUAL(it.report(), "{\"t\":21,\"_v\":0}");
    it.hear("{\"c\":[{\"id\":5,\"n\":\"go\"},{\"id\":5,\"n\":\"go\"}]}");
    EQUAL(it.taken(), "");
    CHECK(it.device.reportDue());
    EQUAL(it.report(), "{\"t\":21,\"_v\":0,\"_ack\":[5]}");
}

TEST("acks stay until a report with them has gone out") {
    Subject<> it;
    it.hear("{\"c\":[{\"id\":5,\"n\":\"go\"}]}");
    it.report();
    it.hear("{\"c\":[{\"id\":6,\"n\":\"go\"}]}");
    it.device.reported();
    EQUAL(it.report(), "{\"t\":21,\"_v\":0,\"_ack\":[6]}");
    EQUAL(it.report(), "{\"t\":21,\"_v\":0,\"_ack\":[6]}");
    it.device.reported();
    CHECK(!it.device.reportDue());
}

TEST("a command that is not done is neither acked nor remembered") {
    Subject<> it;
    it.willing = false;
    it.hear("{\"c\":[{\"id\":5,\"n\":\"go\"}]}");
    EQUAL(it.report(), "{\"t\":21,\"_v\":0}");
    CHECK(!it.device.done(5) && !it.device.reportDue());
    it.willing = true;
    it.taken();
    it.hear("{\"c\":[{\"id\":5,\"n\":\"go\"}]}");
    EQUAL(it.taken(), "#5 go();");
    CHECK(it.device.done(5));
}

TEST("a command that could not be acked is left for later") {
    Subject<Device<1, 1, 8, 2>> it;
    it.hear("{\"c\":[{\"id\":1,\"n\":\"a\"},{\"id\":2,\"n\":\"b\"},{\"id\":3,\"n\":\"c\"}]}");
    EQUAL(it.taken(), "#1 a();#2 b();");
    it.report();
    it.device.reported();
    it.hear("{\"c\":[{\"id\":3,\"n\":\"c\"}]}");
    EQUAL(it.taken(), "#3 c();");
}

TEST("the ids it remembers are bounded, the oldest goes first") {
    Subject<Device<1, 1, 2, 2>> it;
    for (const char* id : {"1", "2", "3"}) {
        it.hear(std::string("{\"c\":[{\"id\":") + id + ",\"n\":\"x\"}]}");
        it.report();
        it.device.reported();
    }
    CHECK(!it.device.done(1) && it.device.done(2) && it.device.done(3));
}

TEST("commands without an id or a name are skipped") {
    Subject<> it;
    it.hear("{\"c\":[{},{\"id\":1},{\"n\":\"x\"},{\"id\":\"2\",\"n\":\"x\"},{\"id\":-1,\"n\":\"x\"},{\"id\":3,\"n\":7},5,null,{\"id\":4,\"n\":\"ok\"}]}");
    EQUAL(it.taken(), "#4 ok();");
}

TEST("acks have half of the buffer, and the rest of them the next report") {
    Subject<> it;
    std::string commands;
    for (int id = 1; id <= 50; id++) commands += (id > 1 ? "," : "") + std::string("{\"id\":") + std::to_string(1000000 + id) + ",\"n\":\"x\"}";
    const std::string reply = "{\"c\":[" + commands + "]}";
    for (const cloud::Part& part : cloud::plain(reply)) it.hear(part);
    size_t reports = 0;
    std::string all;
    while (it.device.reportDue() && reports++ < 20) {
        const std::string text = it.report(200);
        CHECK(text.size() < 200 && text.substr(0, 7) == "{\"t\":21");
        CHECK(fieldhook::Json::parse(text.c_str()).kind() == fieldhook::Json::Kind::object);
        const size_t from = text.find('[') + 1;
        all += (all.empty() ? "" : ",") + text.substr(from, text.find(']') - from);
        it.device.reported();
    }
    EQUAL(reports, 5);
    EQUAL(all.size(), 50 * 8 - 1);
}

TEST("a report fits a buffer of any size, or is none, and then no ack is lost") {
    for (size_t size = 1; size < 64; size++) {
        Subject<> it;
        it.hear("{\"v\":4294967295,\"c\":[{\"id\":1,\"n\":\"x\"},{\"id\":4294967295,\"n\":\"x\"}]}");
        const std::string text = it.report(size);
        it.device.reported();
        if (text.empty()) {
            CHECK(size < 19);
            CHECK(it.device.reportDue());
            EQUAL(it.report(), "{\"t\":21,\"_v\":4294967295,\"_ack\":[1,4294967295]}");
        } else {
            CHECK(text.size() < size);
            CHECK(text.find("\"_v\":4294967295") != std::string::npos);
        }
    }
}

TEST("what is not a reply of this kind is left to the program, with its text") {
    Subject<> it;
    for (const char* text : {"hello", "21.5", "{}", "[1]", "{\"temp\":5}", "{\"v\":1", "{\"v\":\"x\"}", "{\"d\":[1]}", "{\"v\":1}x", "\xff\xfe"}) {
        CHECK(it.hear(text) == Heard::other);
        EQUAL(std::string(it.device.body().data, it.device.body().length), text);
    }
    EQUAL(it.taken(), "");
    EQUAL(it.device.version(), 0);
}

TEST("a version that is no version is not taken over") {
    Subject<> it;
    for (const char* text : {"{\"v\":-1,\"d\":{\"a\":1}}", "{\"v\":1.5,\"d\":{\"a\":2}}", "{\"v\":4294967296,\"d\":{\"a\":3}}"}) it.hear(text);
    EQUAL(it.device.version(), 0);
}

TEST("nothing is applied of a reply that is not whole or not well-formed") {
    Subject<> it;
    const std::string reply = "{\"v\":9,\"d\":{\"a\":\"" + std::string(600, 'x') + "\"}}";
    CHECK(it.hear(cloud::framed(reply, "ab")[1]) == Heard::waiting);
    EQUAL(it.taken(), "");
    it.hear("{\"v\":9,\"d\":{\"a\":1,\"b\":}}");
    EQUAL(it.taken(), "");
    CHECK(it.hear(cloud::framed(reply, "ab")[0]) == Heard::applied);
    EQUAL(it.device.version(), 9);
}

TEST("what is due may be inside a template's answer") {
    Subject<> it;
    CHECK(it.hear("{\"now\":\"12:00\",\"due\":{\"v\":2,\"d\":{\"a\":1}}}") == Heard::other);
    const fieldhook::Text body = it.device.body();
    int applied = 0;
    CHECK(it.device.take(fieldhook::Json::parse(body.data, body.length)["due"], it.now, [&](const Leaf&) { applied++; },
                         [](const Command&) { return true; }) == Heard::applied);
    EQUAL(applied, 1);
    EQUAL(it.device.version(), 2);
}

TEST("C strings are heard as Device OS passes them") {
    Device<> device;
    int applied = 0;
    const auto leaf = [&](const Leaf&) { applied++; };
    const auto command = [](const Command&) { return true; };
    CHECK(device.receive("d/hook-response/t/0", nullptr, 0u, leaf, command) == Heard::dropped);
    CHECK(device.receive("d/hook-response/t/0", "{\"v\":1,\"d\":{\"a\":1}}", 0u, leaf, command) == Heard::applied);
    EQUAL(applied, 1);
}

TEST("command ids survive a reset, the version does not") {
    Subject<Device<1, 1, 4, 4>> before, after;
    before.hear("{\"v\":9,\"c\":[{\"id\":1,\"n\":\"a\"},{\"id\":2,\"n\":\"a\"},{\"id\":3,\"n\":\"a\"}]}");
    before.report();
    before.device.reported();
    before.hear("{\"c\":[{\"id\":4,\"n\":\"a\"},{\"id\":5,\"n\":\"a\"}]}");
    Device<1, 1, 4, 4>::Memory memory = before.device.remember();
    CHECK(after.device.restore(memory));
    EQUAL(after.device.version(), 0);
    after.hear("{\"c\":[{\"id\":5,\"n\":\"a\"},{\"id\":6,\"n\":\"a\"}]}");
    EQUAL(after.taken(), "#6 a();");
    EQUAL(after.report(), "{\"t\":21,\"_v\":0,\"_ack\":[5,6]}");
    CHECK(!after.device.done(2) && after.device.done(3));
    memory.ids[0] ^= 1;
    CHECK(!after.device.restore(memory));
    std::memset(&memory, 0xFF, sizeof memory);
    CHECK(!after.device.restore(memory));
    std::memset(&memory, 0, sizeof memory);
    CHECK(!after.device.restore(memory));
    CHECK(after.device.done(5));
}

TEST("forget makes it as new") {
    Subject<> it;
    it.hear("{\"v\":9,\"d\":{\"a\":1},\"c\":[{\"id\":1,\"n\":\"a\"}],\"more\":1}");
    it.device.forget();
    CHECK(!it.device.reportDue() && !it.device.done(1) && !it.device.more());
    EQUAL(it.report(), "{\"t\":21,\"_v\":0}");
    it.taken();
    it.hear("{\"v\":2,\"d\":{\"a\":1}}");
    EQUAL(it.taken(), "/a=1;");
}

TEST("sizes are what the documentation says, or less") {
    CHECK(sizeof(Device<>) <= 5000);
    CHECK(sizeof(Device<1, 1>) <= 800);
    std::printf("  sizeof: Device<> %zu, Device<1, 1> %zu, Device<10, 2> %zu, Joiner<35, 2> %zu, Memory %zu, Leaf %zu, Report %zu\n",
                sizeof(Device<>), sizeof(Device<1, 1>), sizeof(Device<10, 2>), sizeof(fieldhook::Joiner<35, 2>), sizeof(Device<>::Memory),
                sizeof(Leaf), sizeof(Report));
}
