// The example, compiled as it is and run against a stub of Device OS.

#include "check.h"
#include "../examples/thermostat/thermostat.ino"

namespace {

int raw(float degrees) { return static_cast<int>((degrees * 10 + 500) * 4095 / 3300 + 0.5f); }

/// Lets time pass, a loop every 100 ms, and gives what was published in it.
std::vector<std::string> after(uint32_t ms) {
    board().published.clear();
    for (uint32_t passed = 0; passed < ms; passed += 100) {
        board().now += 100;
        loop();
    }
    return board().published;
}

void reply(const char* text) { board().handler((board().topic + "0").c_str(), text); }

std::string all(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

}  // namespace

TEST("it listens to its own replies only, and reports when it starts") {
    board().now = 0xFFFF0000u;  // the wrap of millis is a minute away
    board().analog = raw(21);
    setup();
    EQUAL(board().topic, "e00fce681234567890abcdef/hook-response/fieldhook/report/");
    EQUAL(all(after(10000)), "fieldhook/report {\"temperature\":21,\"heating\":false,\"target\":null,\"report\":{\"minutes\":15},\"_v\":0}\n");
}

TEST("it applies desired values and says so within seconds") {
    reply("{\"v\":17,\"d\":{\"target\":22.5,\"report\":{\"minutes\":5},\"colour\":\"red\"}}");
    EQUAL(all(after(7000)), "fieldhook/report {\"temperature\":21,\"heating\":true,\"target\":22.5,\"report\":{\"minutes\":5},\"_v\":17}\n");
    CHECK(board().relay == HIGH);
}

TEST("it reports a change at once, and otherwise every so many minutes") {
    EQUAL(all(after(290 * 1000)), "");
    CHECK(millis() < 0xFFFF0000u);
    EQUAL(after(11 * 1000).size(), 1);
    board().analog = raw(21.6f);
    EQUAL(after(6000).size(), 1);
    EQUAL(all(after(6000)), "");
}

TEST("it acks a command, and does not run it again") {
    reply("{\"v\":17,\"c\":[{\"id\":5,\"n\":\"boost\",\"a\":{\"minutes\":1}}]}");
    CHECK(all(after(6000)).find("\"_v\":17,\"_ack\":[5]}") != std::string::npos);
    CHECK(boostMs == 60000);
    after(61000);
    CHECK(boostMs == 0);
    reply("{\"v\":17,\"c\":[{\"id\":5,\"n\":\"boost\"}]}");
    CHECK(boostMs == 0);
    CHECK(all(after(6000)).find("\"_ack\":[5]") != std::string::npos);
}

TEST("offline, or when a publish fails, acks wait") {
    reply("{\"c\":[{\"id\":6,\"n\":\"unknown\"}]}");
    board().online = false;
    EQUAL(all(after(20000)), "");
    board().online = true;
    board().publishes = false;
    EQUAL(all(after(20000)), "");
    board().publishes = true;
    CHECK(all(after(6000)).find("\"_ack\":[6]") != std::string::npos);
}

TEST("it reboots after the ack has gone out, and remembers the command") {
    board().publishes = false;
    reply("{\"c\":[{\"id\":7,\"n\":\"reboot\"}]}");
    after(20000);
    EQUAL(board().resets, 0);
    board().publishes = true;
    const std::string said = all(after(5000));
    CHECK(said.find("\"_ack\":[7]") != std::string::npos);
    EQUAL(board().resets, 1);
    // As after a reset: everything is new but the EEPROM.
    device = Device();
    rebootAsked = false;
    setup();
    reply("{\"c\":[{\"id\":7,\"n\":\"reboot\"}]}");
    CHECK(!rebootAsked);
    CHECK(all(after(6000)).find("\"_v\":0,\"_ack\":[7]}") != std::string::npos);
}

TEST("a deleted value goes back to the default and is reported as gone") {
    reply("{\"v\":18,\"d\":{\"target\":25}}");
    after(6000);
    EQUAL(target, 25.0f);
    reply("{\"v\":19,\"d\":{\"target\":null}}");
    EQUAL(target, 20.0f);
    CHECK(all(after(6000)).find("\"target\":null") != std::string::npos);
    reply("{\"v\":20,\"d\":{\"target\":99}}");
    EQUAL(target, 20.0f);
}
