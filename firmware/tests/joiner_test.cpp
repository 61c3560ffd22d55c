// Joining: any order, repetitions, interleaved replies, timeouts, and bounds.

#include "../fieldhook.h"
#include "cloud.h"

using fieldhook::Joining;
using fieldhook::Text;

namespace {

/// What a joiner hands out, as a string; empty if nothing.
template <typename Joiner>
std::string feed(Joiner& joiner, const cloud::Part& part, uint32_t now = 0) {
    Text text = {nullptr, 0};
    const Joining joining = joiner.add(part.topic.c_str(), part.bytes.data(), part.bytes.size(), now, text);
    return joining == Joining::whole ? std::string(text.data, text.length) : std::string();
}

template <typename Joiner>
Joining outcome(Joiner& joiner, const cloud::Part& part, uint32_t now = 0) {
    Text text;
    return joiner.add(part.topic.c_str(), part.bytes.data(), part.bytes.size(), now, text);
}

std::string sample(size_t length, uint32_t seed = 1) {
    check::Random random(seed);
    return cloud::random_text(random, length);
}

}  // namespace

TEST("a plain reply of one part is whole at once") {
    fieldhook::Joiner<1, 1> joiner;
    EQUAL(feed(joiner, cloud::plain("{\"v\":1}")[0]), "{\"v\":1}");
    EQUAL(feed(joiner, cloud::plain(std::string(511, 'x'))[0]), std::string(511, 'x'));
    EQUAL(joiner.counts().whole, 2);
}

TEST("a framed reply of one part is whole at once, without its header") {
    fieldhook::Joiner<1, 1> joiner;
    EQUAL(feed(joiner, cloud::framed("hello", "aZ")[0]), "hello");
    EQUAL(feed(joiner, cloud::framed("hello", "-_")[0]), "hello");
}

TEST("framed parts join in every order, with the padding gone") {
    const std::string text = sample(1400);
    std::vector<cloud::Part> parts = cloud::framed(text, "ab");
    EQUAL(parts.size(), 3);
    std::vector<int> order = {0, 1, 2};
    do {
        fieldhook::Joiner<> joiner;
        EQUAL(feed(joiner, parts[order[0]]), "");
        EQUAL(feed(joiner, parts[order[1]]), "");
        EQUAL(feed(joiner, parts[order[2]]), text);
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST("framed parts that lost their padding, as C strings do, join all the same") {
    const std::string text = sample(1400);
    fieldhook::Joiner<> joiner;
    std::string joined;
    for (cloud::Part part : cloud::framed(text, "ab")) {
        part.bytes = part.bytes.c_str();
        joined += feed(joiner, part);
    }
    EQUAL(joined, text);
}

TEST("plain parts join in every order, up to the one that is shorter") {
    const std::string text = sample(1400);
    std::vector<cloud::Part> parts = cloud::plain(text);
    std::vector<int> order = {0, 1, 2};
    do {
        fieldhook::Joiner<> joiner;
        EQUAL(feed(joiner, parts[order[0]]), "");
        EQUAL(feed(joiner, parts[order[1]]), "");
        EQUAL(feed(joiner, parts[order[2]]), text);
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST("a plain reply of 1024 bytes ends with a part of one newline") {
    fieldhook::Joiner<> joiner;
    std::vector<cloud::Part> parts = cloud::plain(std::string(1024, 'x'));
    EQUAL(parts.size(), 3);
    feed(joiner, parts[2]);
    feed(joiner, parts[0]);
    EQUAL(feed(joiner, parts[1]), std::string(1024, 'x') + "\n");
}

TEST("a framed reply that fills its parts ends with an empty one") {
    fieldhook::Joiner<> joiner;
    std::vector<cloud::Part> parts = cloud::framed(std::string(506, 'x'), "ab");
    EQUAL(parts.size(), 2);
    feed(joiner, parts[1]);
    EQUAL(feed(joiner, parts[0]), std::string(506, 'x'));
}

TEST("35 framed parts are the most, and join") {
    static fieldhook::Joiner<35, 1> joiner;
    const std::string text = sample(35 * 506 - 2000);
    std::vector<cloud::Part> parts = cloud::framed(text, "ab");
    std::string joined;
    for (size_t i = parts.size(); i-- > 0;) joined += feed(joiner, parts[i]);
    EQUAL(joined, text);
    EQUAL(cloud::framed(std::string(35 * 506 - 1, 'x'), "ab").size(), 35);
    std::string longest;
    for (const cloud::Part& part : cloud::framed(std::string(35 * 506 - 1, 'x'), "cd")) longest += feed(joiner, part);
    EQUAL(longest.size(), 35 * 506 - 1);
}

TEST("a repeated part changes nothing") {
    fieldhook::Joiner<> joiner;
    std::vector<cloud::Part> parts = cloud::framed(sample(900), "ab");
    EQUAL(outcome(joiner, parts[0]), Joining::waiting);
    EQUAL(outcome(joiner, parts[0]), Joining::repeated);
    EQUAL(outcome(joiner, parts[1]), Joining::whole);
    EQUAL(outcome(joiner, parts[1]), Joining::repeated);
    EQUAL(joiner.counts().repeated, 2);
}

TEST("a reply whose every part comes again is handed out again") {
    fieldhook::Joiner<> joiner;
    const std::string text = sample(1400);
    std::vector<cloud::Part> parts = cloud::framed(text, "ab");
    for (const cloud::Part& part : parts) feed(joiner, part);
    feed(joiner, parts[2]);
    feed(joiner, parts[0]);
    EQUAL(feed(joiner, parts[1]), text);
}

TEST("two framed replies interleaved are told apart by their tags") {
    fieldhook::Joiner<> joiner;
    const std::string one = sample(1000, 3), two = sample(1000, 4);
    std::vector<cloud::Part> a = cloud::framed(one, "aa"), b = cloud::framed(two, "bb");
    feed(joiner, a[1]);
    feed(joiner, b[0]);
    EQUAL(feed(joiner, a[0]), one);
    EQUAL(feed(joiner, b[1]), two);
}

TEST("replies to different events are told apart by their topics") {
    fieldhook::Joiner<> joiner;
    const std::string one = sample(1000, 3), two = sample(1000, 4);
    std::vector<cloud::Part> a = cloud::plain(one, "temp"), b = cloud::plain(two, "door");
    feed(joiner, a[1]);
    feed(joiner, b[1]);
    EQUAL(feed(joiner, b[0]), two);
    EQUAL(feed(joiner, a[0]), one);
}

TEST("a reply with another part in a place that is taken is the newer one") {
    fieldhook::Joiner<> joiner;
    const std::string one = sample(1000, 3), two = sample(1000, 4);
    feed(joiner, cloud::plain(one)[0]);
    feed(joiner, cloud::plain(two)[0]);
    EQUAL(feed(joiner, cloud::plain(two)[1]), two);
    EQUAL(joiner.counts().displaced, 1);
}

TEST("a shorter plain reply is not completed with the end of a longer one") {
    fieldhook::Joiner<> joiner;
    const std::string three = sample(1300, 3), two = sample(1000, 4);
    feed(joiner, cloud::plain(three)[2]);
    feed(joiner, cloud::plain(two)[1]);
    EQUAL(feed(joiner, cloud::plain(two)[0]), two);
}

TEST("a late repetition of a finished reply does not get into the next one") {
    fieldhook::Joiner<> joiner;
    const std::string one = sample(1000, 3), two = sample(1000, 4);
    for (const cloud::Part& part : cloud::plain(one)) feed(joiner, part);
    EQUAL(outcome(joiner, cloud::plain(one)[1]), Joining::repeated);
    EQUAL(feed(joiner, cloud::plain(two)[0]), "");
    EQUAL(feed(joiner, cloud::plain(two)[1]), two);
}

TEST("parts that do not all come in 20 s are given up") {
    fieldhook::Joiner<> joiner;
    std::vector<cloud::Part> parts = cloud::framed(sample(900), "ab");
    EQUAL(outcome(joiner, parts[0], 1000), Joining::waiting);
    EQUAL(outcome(joiner, parts[1], 21000), Joining::waiting);
    EQUAL(joiner.counts().late, 1);
    EQUAL(outcome(joiner, parts[0], 40999), Joining::whole);
}

TEST("the wrap of millis gives nothing up early, and nothing stays for ever") {
    fieldhook::Joiner<> joiner;
    std::vector<cloud::Part> parts = cloud::framed(sample(900), "ab");
    EQUAL(outcome(joiner, parts[0], 0xFFFFFFF0u), Joining::waiting);
    EQUAL(outcome(joiner, parts[1], 100), Joining::whole);
    parts = cloud::framed(sample(900), "cd");
    EQUAL(outcome(joiner, parts[0], 0xFFFFFFF0u), Joining::waiting);
    EQUAL(outcome(joiner, parts[1], 19999), Joining::waiting);
}

TEST("the oldest reply makes room, a finished one first") {
    fieldhook::Joiner<4, 2> joiner;
    std::vector<cloud::Part> a = cloud::framed(sample(900, 3), "aa"), b = cloud::framed(sample(900, 4), "bb"),
                             c = cloud::framed(sample(900, 5), "cc"), d = cloud::framed(sample(900, 6), "dd");
    feed(joiner, a[0], 1);
    feed(joiner, b[0], 2);
    feed(joiner, b[1], 3);
    feed(joiner, c[0], 4);  // takes the place of b, which is finished
    EQUAL(joiner.counts().displaced, 0);
    feed(joiner, d[0], 5);  // takes the place of a, which is older than c
    EQUAL(joiner.counts().displaced, 1);
    EQUAL(outcome(joiner, c[1], 6), Joining::whole);
    EQUAL(outcome(joiner, d[1], 6), Joining::whole);
}

TEST("a reply with more parts than there is room for is dropped, and touches nothing") {
    fieldhook::Joiner<2, 1> joiner;
    const std::string text = sample(900, 3);
    std::vector<cloud::Part> fits = cloud::framed(text, "aa");
    feed(joiner, fits[0]);
    for (const cloud::Part& part : cloud::framed(sample(1400), "bb")) EQUAL(outcome(joiner, part), Joining::dropped);
    std::vector<cloud::Part> plain = cloud::plain(sample(1400));
    EQUAL(outcome(joiner, plain[2]), Joining::dropped);
    EQUAL(feed(joiner, fits[1]), text);
}

TEST("empty and overlong parts are dropped") {
    fieldhook::Joiner<> joiner;
    EQUAL(outcome(joiner, {"a/hook-response/t/0", ""}), Joining::dropped);
    EQUAL(outcome(joiner, {"a/hook-response/t/0", std::string(513, 'x')}), Joining::dropped);
    Text text;
    EQUAL(joiner.add("t/0", nullptr, 0, 0, text), Joining::dropped);
    EQUAL(joiner.add(nullptr, "x", 1, 0, text), Joining::dropped);
    EQUAL(joiner.counts().dropped, 4);
}

TEST("what only looks framed is plain text") {
    fieldhook::Joiner<> joiner;
    for (const char* text : {"~", "~ab", "~ab01", "~ab00|x", "~ab10|x", "~ab12|x", "~a b01|x", "~abA1|x", "~ab0Z|x", "~ab01x"}) {
        EQUAL(feed(joiner, {"d/hook-response/t/0", text}), text);
    }
}

TEST("a topic without an index is part 0, or where the header says") {
    fieldhook::Joiner<> joiner;
    EQUAL(feed(joiner, {"hook-response/sensor1", "hello"}), "hello");
    std::vector<cloud::Part> parts = cloud::framed(sample(900), "ab");
    for (cloud::Part& part : parts) part.topic = "hook-response/t";
    feed(joiner, parts[1]);
    EQUAL(feed(joiner, parts[0]), sample(900));
}

TEST("clear forgets parts") {
    fieldhook::Joiner<> joiner;
    std::vector<cloud::Part> parts = cloud::framed(sample(900), "ab");
    feed(joiner, parts[0]);
    joiner.clear();
    EQUAL(outcome(joiner, parts[1]), Joining::waiting);
}
