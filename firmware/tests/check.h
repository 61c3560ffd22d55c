// A test harness of our own: TEST("what holds") { CHECK(...); }. The last line says `N passed, N failed`.

#ifndef FIELDHOOK_TESTS_CHECK_H
#define FIELDHOOK_TESTS_CHECK_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace check {

struct Test {
    Test(const char* what, void (*body)()) : name(what), run(body), next(nullptr) {
        Test** end = &first();
        while (*end) end = &(*end)->next;
        *end = this;
    }
    static Test*& first() {
        static Test* test = nullptr;
        return test;
    }
    const char* name;
    void (*run)();
    Test* next;
};

inline int& failures() {
    static int count = 0;
    return count;
}

/// Says what failed; only the first few of one test, because a random test may fail often.
inline void that(bool holds, const char* what, const char* file, int line) {
    if (holds) return;
    if (++failures() <= 5) std::printf("  %s:%d: %s\n", file, line, what);
}

inline std::string shown(const std::string& text) { return text; }
inline std::string shown(const char* text) { return text; }
inline std::string shown(bool value) { return value ? "true" : "false"; }
template <typename T>
typename std::enable_if<std::is_arithmetic<T>::value, std::string>::type shown(T value) { return std::to_string(value); }
template <typename T>
typename std::enable_if<std::is_enum<T>::value, std::string>::type shown(T value) {
    return "#" + std::to_string(static_cast<int>(value));
}

template <typename A, typename B>
void equal(const A& left, const B& right, const char* what, const char* file, int line) {
    const std::string a = shown(left), b = shown(right);
    that(a == b, (std::string(what) + ": " + a + " is not " + b).c_str(), file, line);
}

inline int main() {
    int passed = 0, failed = 0;
    for (Test* test = Test::first(); test; test = test->next) {
        failures() = 0;
        test->run();
        if (failures() == 0) {
            passed++;
        } else {
            failed++;
            std::printf("not ok: %s (%d)\n", test->name, failures());
        }
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

/// The same numbers in every run (xorshift32).
class Random {
public:
    explicit Random(uint32_t seed) : state_(seed) {}
    uint32_t next() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        state_ ^= state_ << 5;
        return state_;
    }
    uint32_t below(uint32_t limit) { return next() % limit; }
    bool once_in(uint32_t times) { return below(times) == 0; }

private:
    uint32_t state_;
};

}  // namespace check

#define CHECK_JOIN2(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN2(a, b)
#define CHECK_TEST(name, id)                     \
    static void CHECK_JOIN(test_, id)();         \
    static check::Test CHECK_JOIN(entry_, id)(name, CHECK_JOIN(test_, id)); \
    static void CHECK_JOIN(test_, id)()
#define TEST(name) CHECK_TEST(name, __LINE__)
#define CHECK(holds) check::that((holds), #holds, __FILE__, __LINE__)
#define EQUAL(left, right) check::equal((left), (right), #left, __FILE__, __LINE__)

int main() { return check::main(); }

#endif
