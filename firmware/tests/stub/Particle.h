// As much of Device OS as the example needs, so that it is compiled and run in tests. A cloud that remembers
// what was published, and pins that read what a test sets.

#ifndef FIELDHOOK_TESTS_PARTICLE_H
#define FIELDHOOK_TESTS_PARTICLE_H

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#define SYSTEM_THREAD(state)
enum PublishFlag { WITH_ACK };
enum { A0 = 10, D7 = 7, OUTPUT = 1, LOW = 0, HIGH = 1 };

struct String : std::string {
    String(const char* text) : std::string(text) {}
    String(const std::string& text) : std::string(text) {}
    String operator+(const char* more) const { return String(static_cast<const std::string&>(*this) + more); }
};

struct Board {
    uint32_t now = 0;
    int analog = 0;
    int relay = 0;
    bool online = true;
    bool publishes = true;
    int resets = 0;
    std::vector<std::string> published;
    std::string topic;
    void (*handler)(const char*, const char*) = nullptr;
    unsigned char eeprom[1024];
    Board() { std::memset(eeprom, 0xFF, sizeof eeprom); }
};

inline Board& board() {
    static Board one;
    return one;
}

inline uint32_t millis() { return board().now; }
inline int analogRead(int) { return board().analog; }
inline void digitalWrite(int, int value) { board().relay = value; }
inline void pinMode(int, int) {}

struct SystemClass {
    String deviceID() { return String("e00fce681234567890abcdef"); }
    void reset() { board().resets++; }
};
static SystemClass System;

struct ParticleClass {
    bool connected() { return board().online; }
    bool publish(const char* name, const char* data, PublishFlag) {
        if (board().publishes) board().published.push_back(std::string(name) + " " + data);
        return board().publishes;
    }
    void subscribe(const String& topic, void (*handler)(const char*, const char*)) {
        board().topic = topic;
        board().handler = handler;
    }
};
static ParticleClass Particle;

struct EEPROMClass {
    template <typename T>
    void get(int at, T& out) { std::memcpy(&out, board().eeprom + at, sizeof out); }
    template <typename T>
    void put(int at, const T& value) { std::memcpy(board().eeprom + at, &value, sizeof value); }
};
static EEPROMClass EEPROM;

struct Logger {
    void warn(const char*, const char*) {}
};
static Logger Log;

#endif
