// A device on stdin and stdout: reads what the cloud delivers, line by line, and prints as JSON lines what a
// device with this header does. For end-to-end tests, which feed it the replies of a running Worker.
//
//   part <n> <hex>        part n of the reply to fieldhook/report
//   part <topic> <hex>    the event as Particle names it, `…/hook-response/<event>/<n>`
//   time <ms>             what millis() says from now on (0 at first); parts too old are given up
//   set <pointer> <json>  the device changes a value of its own: set /temperature 21.5
//   unset <pointer>       … or has it no longer
//   report [size]         begins a report, in a buffer of so many bytes (16384)
//   sent                  that report has gone out
//   refuse <name>         commands of that name are not done (yet)
//   allow <name>          … now they are
//   reset                 everything is forgotten; `reset keep` keeps the ids of commands and the values
//   state                 what the device holds
//
// Answers, each a line, and for each input line the last of them says that it is over:
//
//   {"leaf":"/target","value":21.5} {"leaf":"/old","deleted":true}
//   {"command":5,"name":"reboot","args":{"delay":3},"done":true}
//   {"heard":"applied","v":17,"more":false,"due":true}      to part; with "text" where a template wrote it, whose
//                                                           "due" is taken if it has one
//   {"report":{…}} or {"report":null}                       to report
//   {"state":{"/target":21.5},"v":17,"due":false,"counts":{…}}  to state
//   {"ok":true} or {"error":"…"}                            to everything else

#include "../fieldhook.h"
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using fieldhook::Heard;
using fieldhook::Json;

namespace {

typedef fieldhook::Device<35, 3> Device;

struct {
    Device device;
    uint32_t now = 0;
    std::map<std::string, std::string> values;  // pointer to JSON text
    std::set<std::string> gone;                 // to be reported as null
    std::vector<std::string> goneInReport;
    std::set<std::string> refused;
} self;

std::string quoted(const std::string& text) {
    std::string buffer(text.size() * 6 + 16, '\0');
    fieldhook::Report report(&buffer[0], buffer.size());
    report.add("", text.c_str());
    report.finish();
    const std::string object = buffer.c_str();  // {"":"…"}
    return object.substr(4, object.size() - 5);
}

std::string raw(const Json& json) { return std::string(json.raw().data, json.raw().length); }

bool below(const std::string& pointer, const std::string& parent) { return pointer.compare(0, parent.size() + 1, parent + "/") == 0; }

/// A value in a place ends what was below it and what it was below.
void put(const std::string& pointer, const std::string& json) {
    for (auto it = self.values.begin(); it != self.values.end();) {
        it = below(it->first, pointer) || below(pointer, it->first) ? self.values.erase(it) : std::next(it);
    }
    for (auto it = self.gone.begin(); it != self.gone.end();) {
        it = *it == pointer || below(*it, pointer) || below(pointer, *it) ? self.gone.erase(it) : std::next(it);
    }
    self.values[pointer] = json;
}

void drop(const std::string& pointer) {
    for (auto it = self.values.begin(); it != self.values.end();) {
        it = it->first == pointer || below(it->first, pointer) ? self.values.erase(it) : std::next(it);
    }
    self.gone.insert(pointer);
}

std::string pathOf(const fieldhook::Leaf& leaf) {
    std::string path(8192, '\0');
    return leaf.path.copy(&path[0], path.size()) ? path.c_str() : "";
}

void apply(const fieldhook::Leaf& leaf) {
    const std::string path = pathOf(leaf);
    if (leaf.deleted()) {
        drop(path);
        std::cout << "{\"leaf\":" << quoted(path) << ",\"deleted\":true}\n";
    } else {
        put(path, raw(leaf.value));
        std::cout << "{\"leaf\":" << quoted(path) << ",\"value\":" << raw(leaf.value) << "}\n";
    }
}

bool execute(const fieldhook::Command& command) {
    char name[256] = "";
    command.name.read(name, sizeof name);
    const bool done = self.refused.count(name) == 0;
    std::cout << "{\"command\":" << command.id << ",\"name\":" << raw(command.name);
    if (command.args.kind() != Json::Kind::absent) std::cout << ",\"args\":" << raw(command.args);
    std::cout << ",\"done\":" << (done ? "true" : "false") << "}\n";
    return done;
}

const char* nameOf(Heard heard) {
    switch (heard) {
        case Heard::waiting: return "waiting";
        case Heard::applied: return "applied";
        case Heard::old: return "old";
        case Heard::repeated: return "repeated";
        case Heard::other: return "other";
        case Heard::dropped: return "dropped";
    }
    return "?";
}

bool unhex(const std::string& hex, std::string& bytes) {
    if (hex.size() % 2 != 0) return false;
    for (size_t i = 0; i < hex.size(); i += 2) {
        const int high = fieldhook::detail::hexDigit(hex[i]), low = fieldhook::detail::hexDigit(hex[i + 1]);
        if (high < 0 || low < 0) return false;
        bytes += static_cast<char>(high * 16 + low);
    }
    return true;
}

const char* yes(bool value) { return value ? "true" : "false"; }

void part(std::istream& words) {
    std::string topic, hex, bytes;
    words >> topic >> hex;
    if (!unhex(hex, bytes)) {
        std::cout << "{\"error\":\"not hex\"}\n";
        return;
    }
    if (topic.find_first_not_of("0123456789") == std::string::npos) topic = "device/hook-response/fieldhook/report/" + topic;
    Heard heard = self.device.receive(topic.c_str(), bytes.data(), bytes.size(), self.now, apply, execute);
    std::string text;
    if (heard == Heard::other) {
        const fieldhook::Text body = self.device.body();
        text = ",\"text\":" + quoted(std::string(body.data, body.length));
        heard = self.device.take(Json::parse(body.data, body.length)["due"], self.now, apply, execute);
    }
    std::cout << "{\"heard\":\"" << nameOf(heard) << "\"" << text;
    std::cout << ",\"v\":" << self.device.version() << ",\"more\":" << yes(self.device.more()) << ",\"due\":" << yes(self.device.reportDue()) << "}\n";
}

std::string unescaped(std::string key) {
    for (size_t at = 0; (at = key.find('~', at)) != std::string::npos; at++) key.replace(at, 2, key[at + 1] == '1' ? "/" : "~");
    return key;
}

std::vector<std::string> keysOf(const std::string& pointer) {
    std::vector<std::string> keys;
    std::stringstream parts(pointer.substr(1) + "/");
    for (std::string key; std::getline(parts, key, '/');) keys.push_back(unescaped(key));
    return keys;
}

/// Writes values as one tree: leaves of the same object are side by side in a sorted list of key lists.
void report(std::istream& words) {
    size_t size = 16384;
    words >> size;
    std::map<std::vector<std::string>, std::string> leaves;
    for (const auto& value : self.values) leaves[keysOf(value.first)] = value.second;
    self.goneInReport.assign(self.gone.begin(), self.gone.end());
    for (const std::string& pointer : self.gone) {
        bool replaced = false;  // `/a` is gone but `/a/b` is there again
        for (const auto& value : self.values) replaced = replaced || below(value.first, pointer);
        if (!replaced) leaves[keysOf(pointer)] = "null";
    }
    std::string buffer(size + 1, '\0');
    fieldhook::Report report = self.device.report(&buffer[0], size);
    std::vector<std::string> open;
    for (const auto& leaf : leaves) {
        const std::vector<std::string>& keys = leaf.first;
        size_t same = 0;
        while (same < open.size() && same + 1 < keys.size() && open[same] == keys[same]) same++;
        for (; open.size() > same; open.pop_back()) report.close();
        for (; open.size() + 1 < keys.size(); open.push_back(keys[open.size()])) report.open(keys[open.size()].c_str());
        report.add(keys.back().c_str(), Json::parse(leaf.second.data(), leaf.second.size()));
    }
    const bool written = report.finish() != 0;
    std::cout << "{\"report\":" << (written ? buffer.c_str() : "null") << "}\n";
}

void state() {
    const fieldhook::JoinerCounts& counts = self.device.counts();
    std::cout << "{\"state\":{";
    const char* comma = "";
    for (const auto& value : self.values) {
        std::cout << comma << quoted(value.first) << ":" << value.second;
        comma = ",";
    }
    std::cout << "},\"v\":" << self.device.version() << ",\"due\":" << yes(self.device.reportDue()) << ",\"counts\":{\"whole\":" << counts.whole
              << ",\"repeated\":" << counts.repeated << ",\"dropped\":" << counts.dropped << ",\"late\":" << counts.late
              << ",\"displaced\":" << counts.displaced << "}}\n";
}

/// False if the line cannot be understood.
bool obey(const std::string& command, std::istream& words) {
    std::string pointer, rest;
    if (command == "time") {
        if (!(words >> self.now)) return false;
        self.device.tick(self.now);
    } else if (command == "set") {
        words >> pointer >> std::ws;
        std::getline(words, rest);
        const Json json = Json::parse(rest.c_str());
        if (pointer.empty() || pointer[0] != '/' || json.kind() == Json::Kind::absent) return false;
        put(pointer, raw(json));
    } else if (command == "unset") {
        if (!(words >> pointer) || pointer[0] != '/') return false;
        drop(pointer);
    } else if (command == "sent") {
        self.device.reported();
        for (const std::string& gone : self.goneInReport) self.gone.erase(gone);
        self.goneInReport.clear();
    } else if (command == "refuse" && words >> rest) {
        self.refused.insert(rest);
    } else if (command == "allow" && words >> rest) {
        self.refused.erase(rest);
    } else if (command == "reset") {
        const Device::Memory memory = self.device.remember();
        self.device.forget();
        if (words >> rest && rest == "keep") return self.device.restore(memory);
        self.values.clear();
        self.gone.clear();
    } else {
        return false;
    }
    return true;
}

}  // namespace

int main() {
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string command;
        if (!(words >> command)) continue;
        if (command == "part") {
            part(words);
        } else if (command == "report") {
            report(words);
        } else if (command == "state") {
            state();
        } else {
            std::cout << (obey(command, words) ? "{\"ok\":true}\n" : "{\"error\":\"not understood\"}\n");
        }
        std::cout.flush();
    }
    return 0;
}
