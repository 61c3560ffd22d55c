// Random and hostile input, with seeds that never change: whatever comes, only whole replies are handed out,
// nothing is read or written out of bounds (the sanitizers watch), and nothing is allocated.

#include "../fieldhook.h"
#include "cloud.h"
#include <map>
#include <new>
#include <set>

// Anything the header allocated would end the test. Linked with --wrap=malloc, so that C calls count too.
namespace {
bool forbidden = false;
void check_allowed() {
    if (!forbidden) return;
    std::fputs("the header allocated\n", stderr);
    std::abort();
}
struct NoAllocation {
    NoAllocation() { forbidden = true; }
    ~NoAllocation() { forbidden = false; }
};
struct Allowed {
    Allowed() : before(forbidden) { forbidden = false; }
    ~Allowed() { forbidden = before; }
    bool before;
};
}  // namespace

extern "C" void* __real_malloc(size_t);
extern "C" void* __real_calloc(size_t, size_t);
extern "C" void* __real_realloc(void*, size_t);
extern "C" void* __wrap_malloc(size_t size) { return check_allowed(), __real_malloc(size); }
extern "C" void* __wrap_calloc(size_t n, size_t size) { return check_allowed(), __real_calloc(n, size); }
extern "C" void* __wrap_realloc(void* at, size_t size) { return check_allowed(), __real_realloc(at, size); }
void* operator new(size_t size) { return check_allowed(), __real_malloc(size); }
void* operator new[](size_t size) { return check_allowed(), __real_malloc(size); }
void operator delete(void* at) noexcept { std::free(at); }
void operator delete[](void* at) noexcept { std::free(at); }
void operator delete(void* at, size_t) noexcept { std::free(at); }
void operator delete[](void* at, size_t) noexcept { std::free(at); }

using fieldhook::Device;
using fieldhook::Heard;
using fieldhook::Json;

namespace {

/// Bytes on the heap with nothing behind them, so that the sanitizer sees a byte read too many.
struct Exact {
    explicit Exact(const std::string& text) : data(static_cast<char*>(std::malloc(text.size() ? text.size() : 1))), size(text.size()) {
        std::memcpy(data, text.data(), size);
    }
    ~Exact() { std::free(data); }
    Exact(const Exact&) = delete;
    Exact& operator=(const Exact&) = delete;
    char* data;
    size_t size;
};

/// Uses everything of a value that a program could use.
uint32_t touch(const Json& json) {
    uint32_t sum = 0;
    char text[40];
    bool yes;
    int8_t small;
    uint64_t large;
    double real;
    float single;
    sum += json.copy(text, sizeof text) + json.read(text, sizeof text) + json.read(yes) + json.read(small) + json.read(large) + json.read(real) + json.read(single);
    sum += json.is("a") + (json["a"]["b"].kind() == Json::Kind::absent);
    for (fieldhook::Items items(json); items.next();) sum += items.value().raw().length;
    for (fieldhook::Members members(json); members.next();) sum += members.value().raw().length + members.key().is("x");
    return sum;
}

template <typename Kind>
Heard hear(Kind& device, const std::string& topic, const std::string& bytes, uint32_t now) {
    Exact exact(bytes);
    NoAllocation guard;
    const Heard heard = device.receive(
        topic.c_str(), exact.data, exact.size, now,
        [](const fieldhook::Leaf& leaf) {
            char path[24];
            touch(leaf.value);
            leaf.path.copy(path, sizeof path);
            leaf.is("/a/b");
        },
        [](const fieldhook::Command& command) {
            touch(command.name);
            touch(command.args);
            return command.id % 3 != 0;
        });
    char buffer[80];
    fieldhook::Report report = device.report(buffer, sizeof buffer);
    report.add("text", "a\"\xff").add("n", 1.5).open("o").add("x", true).close();
    const size_t length = report.finish();
    if (length == 0 || Json::parse(buffer, length).kind() != Json::Kind::object) check::that(false, "the report is valid", __FILE__, __LINE__);
    if (now % 2) device.reported();
    return heard;
}

std::string mutated(std::string text, check::Random& random) {
    static const char* tokens[] = {"{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "null", "true", "-", "1e999", "~ab12|", "\xff", "\xe2\x82", "\"v\":", "\"d\":{", "\"c\":["};
    for (uint32_t changes = 1 + random.below(4); changes > 0; changes--) {
        const size_t at = random.below(static_cast<uint32_t>(text.size() + 1));
        switch (random.below(6)) {
            case 0: text.resize(at); break;
            case 1: text.erase(at, 1 + random.below(8)); break;
            case 2: text.insert(at, tokens[random.below(20)]); break;
            case 3: text.insert(at, text.substr(0, at)); break;
            case 4:
                if (at < text.size()) text[at] = static_cast<char>(random.below(256));
                break;
            default:
                if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << random.below(8)));
        }
        if (text.size() > 1500) text.resize(1500);
    }
    return text;
}

}  // namespace

TEST("framed replies, two under way at once, shuffled and repeated, come out as they were") {
    check::Random random(20261122);
    for (int round = 0; round < 2000; round++) {
        fieldhook::Joiner<8, 2> joiner;
        std::vector<std::string> texts;
        std::vector<cloud::Part> parts;
        for (const char* tag : {"aa", "bb"}) {
            texts.push_back(cloud::random_text(random, 1 + random.below(3500)) + tag);
            for (const cloud::Part& part : cloud::framed(texts.back(), tag)) {
                parts.push_back(part);
                if (random.once_in(3)) parts.push_back(part);
            }
        }
        cloud::shuffle(parts, random);
        std::set<std::string> joined;
        for (const cloud::Part& part : parts) {
            Exact exact(part.bytes);
            fieldhook::Text text;
            NoAllocation guard;
            if (joiner.add(part.topic.c_str(), exact.data, exact.size, 5, text) != fieldhook::Joining::whole) continue;
            Allowed here;
            joined.insert(std::string(text.data, text.length));
        }
        CHECK(joined == std::set<std::string>(texts.begin(), texts.end()));
    }
}

TEST("with parts dropped, only what is whole is handed out") {
    check::Random random(7);
    int lost = 0, whole = 0;
    for (int round = 0; round < 2000; round++) {
        fieldhook::Joiner<8, 3> joiner;
        std::set<std::string> texts, expected, joined;
        std::vector<cloud::Part> parts;
        for (const char* tag : {"aa", "bb", "cc"}) {
            const std::string text = cloud::random_text(random, 600 + random.below(2000)) + tag;
            texts.insert(text);
            bool complete = true;
            for (const cloud::Part& part : cloud::framed(text, tag)) {
                if (random.once_in(6)) {
                    complete = false;
                } else {
                    parts.push_back(part);
                }
            }
            if (complete) expected.insert(text);
            (complete ? whole : lost)++;
        }
        cloud::shuffle(parts, random);
        for (const cloud::Part& part : parts) {
            fieldhook::Text text;
            if (joiner.add(part.topic.c_str(), part.bytes.data(), part.bytes.size(), 5, text) == fieldhook::Joining::whole) {
                joined.insert(std::string(text.data, text.length));
            }
        }
        CHECK(joined == expected);
    }
    CHECK(lost > 500 && whole > 500);
}

TEST("plain replies, one after another, shuffled, repeated and sometimes incomplete, are never mixed up into valid ones") {
    check::Random random(99);
    fieldhook::Joiner<8, 2> joiner;
    uint32_t now = 0;
    int whole = 0;
    for (int round = 0; round < 2000; round++) {
        const std::string text = std::to_string(round) + cloud::random_text(random, 400 + random.below(2500));
        std::vector<cloud::Part> parts = cloud::plain(text);
        const bool complete = !random.once_in(4);
        if (!complete) parts.erase(parts.begin() + random.below(static_cast<uint32_t>(parts.size())));
        if (!parts.empty()) parts.push_back(parts[random.below(static_cast<uint32_t>(parts.size()))]);
        cloud::shuffle(parts, random);
        std::string joined;
        for (const cloud::Part& part : parts) {
            fieldhook::Text out;
            if (joiner.add(part.topic.c_str(), part.bytes.data(), part.bytes.size(), now, out) == fieldhook::Joining::whole) {
                joined.assign(out.data, out.length);
            }
        }
        // The newline is there if the length needed it.
        if (complete) CHECK(joined.compare(0, text.size(), text) == 0 && joined.size() <= text.size() + 1);
        if (!complete) CHECK(joined.empty());
        whole += complete;
        now += 20000;  // far enough apart: plain parts have no tags
    }
    CHECK(whole > 1000);
}

TEST("replies with bytes changed, cut or inserted do no harm") {
    check::Random random(4242);
    const std::string seeds[] = {
        "{\"v\":17,\"d\":{\"target\":21.5,\"in\":{\"a\":null,\"b\":[1,{\"c\":\"\\u00e9\"}]}},\"c\":[{\"id\":5,\"n\":\"reboot\",\"a\":{\"b\":-1e5}}],\"more\":1}",
        "{\"c\":[{\"id\":1,\"n\":\"a\"},{\"id\":2,\"n\":\"b\",\"a\":\"\\ud83d\\ude00\"}]}",
        "~ab12|{\"v\":1}",
        "{\"d\":{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":1}}}}}}},\"more\":true}",
    };
    Device<3, 2, 8, 4> device;
    int applied = 0, other = 0;
    for (uint32_t round = 0; round < 60000; round++) {
        const std::string text = mutated(seeds[random.below(4)], random);
        const std::string topic = cloud::topic("t", random.below(4));
        const Heard heard = hear(device, topic, text.substr(0, 600), round * 977);
        applied += heard == Heard::applied;
        other += heard == Heard::other;
        if (round % 64 == 0) device.forget();
    }
    CHECK(applied > 100 && other > 1000);
}

TEST("random bytes and topics do no harm") {
    check::Random random(31337);
    Device<2, 1, 4, 2> device;
    for (uint32_t round = 0; round < 60000; round++) {
        std::string bytes, topic;
        for (uint32_t length = random.once_in(4) ? 512 : random.below(40); length > 0; length--) bytes += static_cast<char>(random.below(256));
        if (random.once_in(2) && bytes.size() > 6) bytes.replace(0, 6, std::string("~xy") + "0123"[random.below(4)] + "0123"[random.below(4)] + "|");
        for (uint32_t length = random.below(12); length > 0; length--) topic += "/0123456789ab"[random.below(13)];
        hear(device, topic, bytes, random.next());
    }
    CHECK(device.version() <= 0xFFFFFFFFu);
}

TEST("valid JSON of any shape is read to its end, and only valid JSON is") {
    check::Random random(555);
    for (int round = 0; round < 20000; round++) {
        std::string text, closing;
        // A random document, grown from the left, its closing kept aside.
        text = "[";
        closing = "]";
        for (uint32_t steps = random.below(12); steps > 0; steps--) {
            switch (random.below(4)) {
                case 0:
                    if (closing.size() < 16) text += "{\"k\":[", closing = "]}" + closing;
                    break;
                case 1: text += "\"\\n\\u20ac😀\","; break;
                case 2: text += "-1.25e-3 ,"; break;
                default: text += " true,";
            }
        }
        text += "null" + closing;
        Exact exact(text);
        NoAllocation guard;
        const Json json = Json::parse(exact.data, exact.size);
        touch(json);
        if (json.kind() != Json::Kind::array || json.raw().length != exact.size) check::that(closing.size() > 16, "it is valid", __FILE__, __LINE__);
        if (Json::parse(exact.data, exact.size - 1).kind() != Json::Kind::absent) check::that(false, "its prefix is not", __FILE__, __LINE__);
    }
}

namespace {

/// The cloud's half of the twin, for whole numbers at the top level. A value that equals the reported one is
/// still due if another was sent since that report: the device may hold that one by now.
struct Twin {
    std::map<std::string, int> desired, reported;
    std::map<std::string, uint32_t> versions;
    std::map<std::string, uint32_t> deleted;
    std::set<std::string> sent;
    uint32_t version = 0, applied = 0;

    void want(const std::string& key, int value) {
        desired[key] = value;
        versions[key] = ++version;
        deleted.erase(key);
    }

    void drop(const std::string& key) {
        if (desired.erase(key)) deleted[key] = ++version;
    }

    std::string reply(uint32_t most) {
        std::string delta;
        uint32_t count = 0;
        bool more = false;
        const auto add = [&](const std::string& key, const std::string& value) {
            if (count++ >= most) return void(more = true);
            delta += (delta.empty() ? "" : ",") + ("\"" + key + "\":" + value);
            sent.insert(key);
        };
        for (const auto& leaf : desired) {
            const auto has = reported.find(leaf.first);
            if (versions.at(leaf.first) > applied && (has == reported.end() || has->second != leaf.second || sent.count(leaf.first))) {
                add(leaf.first, std::to_string(leaf.second));
            }
        }
        for (const auto& tomb : deleted) {
            if (reported.count(tomb.first)) add(tomb.first, "null");
        }
        if (more) return "{\"d\":{" + delta + "},\"more\":1}";
        return "{\"v\":" + std::to_string(version) + ",\"d\":{" + delta + "}}";
    }
};

}  // namespace

TEST("whatever is lost, repeated or late, once heard often enough the device has every desired value") {
    check::Random random(2026);
    const char* keys[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (int round = 0; round < 300; round++) {
        Twin twin;
        Device<2, 2> device;
        std::map<std::string, int> values;
        std::set<std::string> gone;
        uint32_t now = random.next(), highest = 0;
        const auto hear = [&](const std::string& reply) {
            const cloud::Part part = cloud::plain(reply)[0];
            device.receive(part.topic.c_str(), part.bytes.data(), part.bytes.size(), now,
                [&](const fieldhook::Leaf& leaf) {
                    const std::string key(leaf.path.key(0).raw().data + 1, 1);
                    if (leaf.deleted()) {
                        values.erase(key);
                        gone.insert(key);
                    } else {
                        leaf.value.read(values[key]);
                        gone.erase(key);
                    }
                },
                [](const fieldhook::Command&) { return true; });
            CHECK(device.version() >= highest);
            highest = device.version();
        };
        std::vector<std::string> late;
        for (int step = 0; step < 60; step++) {
            const bool calm = step >= 30;
            now += 31000;
            if (!calm && random.once_in(2)) twin.want(keys[random.below(8)], static_cast<int>(random.below(5)));
            if (!calm && random.once_in(6)) twin.drop(keys[random.below(8)]);
            // The device reports all it has; the report may be lost.
            char buffer[400];
            fieldhook::Report report = device.report(buffer, sizeof buffer);
            for (const auto& value : values) report.add(value.first.c_str(), value.second);
            for (const std::string& key : gone) report.remove(key.c_str());
            CHECK(report.finish() && report.complete());
            device.reported();
            if (!calm && random.once_in(3)) continue;
            twin.sent.clear();
            const Json heard = Json::parse(buffer);
            for (fieldhook::Members members(heard); members.next();) {
                const std::string key(members.key().raw().data + 1, members.key().raw().length - 2);
                if (key == "_v") {
                    members.value().read(twin.applied);
                } else if (members.value().kind() == Json::Kind::null) {
                    twin.reported.erase(key);
                } else {
                    members.value().read(twin.reported[key]);
                }
            }
            // So may the reply, or come twice, the second time after a later one.
            const std::string reply = twin.reply(1 + random.below(4));
            if (!calm && random.once_in(3)) continue;
            hear(reply);
            if (!calm && random.once_in(3)) {
                now += 1000;
                twin.want(keys[random.below(8)], static_cast<int>(random.below(5)));
                hear(twin.reply(1 + random.below(4)));
                hear(reply);
            }
        }
        CHECK(values == twin.desired);
        EQUAL(device.version(), twin.version);
    }
}
