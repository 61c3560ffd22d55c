// The other side, as far as tests need it: cuts replies as core/src/reply.rs does, and names their parts as
// Particle does.

#ifndef FIELDHOOK_TESTS_CLOUD_H
#define FIELDHOOK_TESTS_CLOUD_H

#include "check.h"
#include <algorithm>
#include <vector>

namespace cloud {

struct Part {
    std::string topic;
    std::string bytes;
};

inline std::string topic(const std::string& event, size_t index) {
    return "e00fce681234567890abcdef/hook-response/" + event + "/" + std::to_string(index);
}

inline std::vector<Part> plain(std::string text, const std::string& event = "fieldhook/report") {
    if (text.size() % 512 == 0) text += '\n';
    std::vector<Part> parts;
    for (size_t at = 0; at < text.size(); at += 512) parts.push_back({topic(event, parts.size()), text.substr(at, 512)});
    return parts;
}

inline bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

inline std::vector<Part> framed(std::string rest, const std::string& tag, const std::string& event = "fieldhook/report") {
    std::vector<std::string> texts;
    while (rest.size() >= 506) {
        size_t cut = 506;
        while (cut < rest.size() && !starts_character(rest[cut])) cut--;
        texts.push_back(rest.substr(0, cut));
        rest.erase(0, cut);
    }
    texts.push_back(rest);
    const char* digits = "0123456789abcdefghijklmnopqrstuvwxyz";
    std::vector<Part> parts;
    for (size_t i = 0; i < texts.size(); i++) {
        std::string bytes = "~" + tag + digits[i] + digits[texts.size()] + "|" + texts[i];
        if (i + 1 < texts.size()) bytes.resize(512, '\0');
        parts.push_back({topic(event, i), bytes});
    }
    return parts;
}

template <typename T>
void shuffle(std::vector<T>& parts, check::Random& random) {
    for (size_t i = parts.size(); i > 1; i--) std::swap(parts[i - 1], parts[random.below(static_cast<uint32_t>(i))]);
}

inline std::string random_text(check::Random& random, size_t length) {
    static const char* pieces[] = {"a", "7", " ", "\"", "\\", "{", "~", "|", "é", "€", "😀", "\n"};
    std::string text;
    while (text.size() < length) text += pieces[random.below(12)];
    return text;
}

}  // namespace cloud

#endif
