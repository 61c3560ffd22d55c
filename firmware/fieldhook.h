// fieldhook.h: the device's side of fieldhook. One header, C++11, for Particle Device OS and anything else.
//
//   Joiner   puts a reply together from the 512-byte parts in which Particle delivers it, in any order
//   Json     reads JSON where it lies: no copy, no tree
//   Report   writes JSON into a buffer of yours, whole members only
//   Device   the contract: applies what is due once, runs commands once, reports what was done
//
// Most programs need only Device, and Report, which it makes.
//
// It never allocates, throws, prints or reads a clock: all memory is in the objects (their size is fixed by
// template parameters), and the time is passed in. It is not for several threads at once; Device OS calls
// subscription handlers and loop() from the same one.
//
// The contract is fieldhook's reply `{"v":17,"d":{...},"c":[{"id":5,"n":"reboot","a":...}],"more":1}` and report
// `{"temperature":21.4,"_v":17,"_ack":[5]}`; see README.md.

#ifndef FIELDHOOK_H
#define FIELDHOOK_H

#include <limits>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <type_traits>

namespace fieldhook {

enum : uint32_t {
    /// Particle cuts responses here, bytes (Particle docs, "Webhook responses").
    kPart = 512,
    /// A framed part begins with `~`, two characters of tag, index and count in base 36, `|`.
    kFrameHeader = 6,
    /// The most parts of a framed reply: its count is one base-36 digit.
    kPartsLimit = 35,
    /// Containers open at once in JSON that is read or written. A twin section has at most 8.
    kDepth = 16,
    /// Parts that do not all come within this time, ms, are given up. Less than the 30 s after which Particle
    /// sends an event again, because the reply to that may carry the same tag and another text.
    kJoinMs = 20000,
    /// The same delta again within this time, ms, is the cloud repeating itself, not news.
    kRepeatMs = 30000
};

/// Bytes that belong to somebody else; not terminated.
///
/// ```
/// fieldhook::Text body = device.body();
/// Log.write(body.data, body.length);
/// ```
struct Text {
    const char* data;
    size_t length;
};

// ---------------------------------------------------------------------------------------------------------
// Reading JSON
// ---------------------------------------------------------------------------------------------------------

namespace detail {

/// FNV-1a: tells topics and replies apart; nothing secret depends on it.
inline uint32_t hash(const char* data, size_t length) {
    uint32_t value = 2166136261u;
    for (size_t i = 0; i < length; i++) value = (value ^ static_cast<uint8_t>(data[i])) * 16777619u;
    return value;
}

inline int hexDigit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// The length of the well-formed UTF-8 character at `at`, or 0 (Unicode 15, table 3-7).
inline size_t utf8Length(const char* at, const char* end) {
    const uint8_t lead = static_cast<uint8_t>(*at);
    if (lead < 0x80) return 1;
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || static_cast<size_t>(end - at) < length) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((static_cast<uint8_t>(at[i]) & 0xC0) != 0x80) return 0;
    }
    const uint8_t second = static_cast<uint8_t>(at[1]);
    if (lead == 0xE0 && second < 0xA0) return 0;  // overlong
    if (lead == 0xED && second > 0x9F) return 0;  // surrogate
    if (lead == 0xF0 && second < 0x90) return 0;  // overlong
    if (lead == 0xF4 && second > 0x8F) return 0;  // above U+10FFFF
    return length;
}

/// Moves over JSON (RFC 8259), saying whether it is well-formed. Never recurses, never reads past `end`.
class Scanner {
public:
    Scanner(const char* from, const char* to) : at(from), end(to) {}

    void space() {
        while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    }

    bool take(char c) {
        if (at == end || *at != c) return false;
        at++;
        return true;
    }

    /// A string in its quotes.
    bool string() {
        if (!take('"')) return false;
        while (at < end) {
            const char c = *at;
            if (c == '"') {
                at++;
                return true;
            }
            if (static_cast<uint8_t>(c) < 0x20) return false;
            if (c == '\\') {
                if (!escape()) return false;
            } else {
                const size_t length = utf8Length(at, end);
                if (length == 0) return false;
                at += length;
            }
        }
        return false;
    }

    /// `"key" :`, and space around it.
    bool key(const char*& from, const char*& to) {
        space();
        from = at;
        if (!string()) return false;
        to = at;
        space();
        return take(':');
    }

    /// One value of any kind, nested at most kDepth deep.
    bool value() {
        uint32_t objects = 0;  // one bit per open container: is it an object?
        uint32_t depth = 0;
        const char* unused;
        for (;;) {
            space();
            if (at == end) return false;
            if (*at == '{' || *at == '[') {
                if (depth == kDepth) return false;
                const bool object = *at++ == '{';
                objects = (objects << 1) | (object ? 1u : 0u);
                depth++;
                space();
                if (!take(object ? '}' : ']')) {
                    if (object && !key(unused, unused)) return false;
                    continue;
                }
                objects >>= 1;
                depth--;
            } else if (!scalar()) {
                return false;
            }
            for (;;) {
                if (depth == 0) return true;
                const bool object = (objects & 1u) != 0;
                space();
                if (take(',')) {
                    if (object && !key(unused, unused)) return false;
                    break;
                }
                if (!take(object ? '}' : ']')) return false;
                objects >>= 1;
                depth--;
            }
        }
    }

    const char* at;
    const char* end;

private:
    bool escape() {
        at++;
        if (at == end) return false;
        const char c = *at++;
        if (c != 'u') return c != '\0' && strchr("\"\\/bfnrt", c) != nullptr;
        if (end - at < 4) return false;
        for (int i = 0; i < 4; i++) {
            if (hexDigit(*at++) < 0) return false;
        }
        return true;
    }

    bool scalar() {
        switch (*at) {
            case '"': return string();
            case 't': return literal("true", 4);
            case 'f': return literal("false", 5);
            case 'n': return literal("null", 4);
            default: return number();
        }
    }

    bool literal(const char* expected, size_t length) {
        if (static_cast<size_t>(end - at) < length || memcmp(at, expected, length) != 0) return false;
        at += length;
        return true;
    }

    bool number() {
        take('-');
        if (!take('0') && !digits()) return false;
        if (take('.') && !digits()) return false;
        if (at < end && (*at == 'e' || *at == 'E')) {
            at++;
            if (!take('+')) take('-');
            return digits();
        }
        return true;
    }

    bool digits() {
        const char* from = at;
        while (at < end && *at >= '0' && *at <= '9') at++;
        return at != from;
    }
};

/// The bytes that a well-formed JSON string (without its quotes) stands for, one at a time.
class Decoder {
public:
    Decoder(const char* from, const char* to) : at_(from), end_(to), waiting_(0), next_(0) {}

    /// The next byte, or -1 at the end. Half of a surrogate pair alone becomes U+FFFD.
    int next() {
        if (next_ < waiting_) return bytes_[next_++];
        if (at_ >= end_) return -1;
        const char c = *at_++;
        if (c != '\\' || at_ >= end_) return static_cast<uint8_t>(c);
        const char escaped = *at_++;
        switch (escaped) {
            case 'b': return '\b';
            case 'f': return '\f';
            case 'n': return '\n';
            case 'r': return '\r';
            case 't': return '\t';
            case 'u': return unicode();
            default: return static_cast<uint8_t>(escaped);
        }
    }

private:
    int unicode() {
        uint32_t code = unit();
        if (code >= 0xD800 && code < 0xDC00 && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
            const char* second = at_;
            at_ += 2;
            const uint32_t low = unit();
            if (low >= 0xDC00 && low < 0xE000) {
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            } else {
                at_ = second;
            }
        }
        if (code >= 0xD800 && code < 0xE000) code = 0xFFFD;
        return encode(code);
    }

    uint32_t unit() {
        uint32_t value = 0;
        for (int i = 0; i < 4 && at_ < end_; i++) {
            const int digit = hexDigit(*at_++);
            value = (value << 4) | static_cast<uint32_t>(digit < 0 ? 0 : digit);
        }
        return value;
    }

    int encode(uint32_t code) {
        if (code < 0x80) return static_cast<int>(code);
        const uint8_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        for (uint8_t i = 0; i < more; i++) {
            bytes_[i] = static_cast<uint8_t>(0x80 | ((code >> (6 * (more - 1 - i))) & 0x3F));
        }
        waiting_ = more;
        next_ = 0;
        const uint32_t mark = more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0;
        return static_cast<int>(mark | (code >> (6 * more)));
    }

    const char* at_;
    const char* end_;
    uint8_t bytes_[3];
    uint8_t waiting_;
    uint8_t next_;
};

/// A JSON number as digits and a power of ten. (strtod is not used: newlib's allocates.)
struct Decimal {
    Decimal(const char* at, const char* end) : digits(0), exponent(0), negative(false), exact(true) {
        if (at < end && *at == '-') {
            negative = true;
            at++;
        }
        bool fraction = false;
        for (; at < end && *at != 'e' && *at != 'E'; at++) {
            if (*at == '.') {
                fraction = true;
            } else if (digits <= ((std::numeric_limits<uint64_t>::max)() - 9) / 10) {
                digits = digits * 10 + static_cast<uint64_t>(*at - '0');
                if (fraction) exponent--;
            } else {
                if (*at != '0') exact = false;
                if (!fraction) exponent++;
            }
        }
        if (at < end) exponent += power(at + 1, end);
    }

    static int32_t power(const char* at, const char* end) {
        const bool minus = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+')) at++;
        int32_t value = 0;
        for (; at < end; at++) {
            if (value < 100000) value = value * 10 + (*at - '0');
        }
        return minus ? -value : value;
    }

    /// The number if it is a whole one: 21, 21.0, 2.1e1.
    bool whole(uint64_t& out) const {
        uint64_t value = digits;
        int32_t power = exponent;
        for (; value != 0 && power < 0; power++) {
            if (value % 10 != 0) return false;
            value /= 10;
        }
        for (; value != 0 && power > 0; power--) {
            if (value > (std::numeric_limits<uint64_t>::max)() / 10) return false;
            value *= 10;
        }
        out = value;
        return exact;
    }

    /// Exact up to 15 digits with an exponent within 22, else to about 15 digits. False if it is too large.
    bool real(double& out) const {
        double value = static_cast<double>(digits);
        if (digits != 0) {
            int32_t power = exponent < -400 ? -400 : exponent > 400 ? 400 : exponent;
            for (; power < 0; power += power <= -22 ? 22 : -power) value /= tens(power <= -22 ? 22 : -power);
            for (; power > 0; power -= power >= 22 ? 22 : power) value *= tens(power >= 22 ? 22 : power);
        }
        if (value > (std::numeric_limits<double>::max)()) return false;
        out = negative ? -value : value;
        return true;
    }

    /// Ten to a power of 0 to 22; every one of them and every step to it is exact in a double.
    static double tens(int32_t power) {
        double value = 1;
        while (power-- > 0) value *= 10;
        return value;
    }

    uint64_t digits;
    int32_t exponent;
    bool negative;
    bool exact;
};

}  // namespace detail

/// A JSON value where it lies in a text that must outlive it. Cheap to copy.
///
/// Reading is tolerant: what is absent or of another kind leaves the variable as it was and says false.
///
/// ```
/// fieldhook::Json json = fieldhook::Json::parse("{\"low\":5,\"name\":\"K\\u00fcche\"}");
/// int low = 7;
/// json["low"].read(low);                       // low is 5
/// char name[16];
/// if (json["name"].read(name, sizeof name)) {} // name is "Küche"
/// json["high"].read(low);                      // false, low is still 5
/// ```
class Json {
public:
    enum class Kind : uint8_t { absent, null, boolean, number, text, array, object };

    /// A value that is not there.
    Json() : data_(nullptr), length_(0), kind_(Kind::absent) {}

    /// The one value that `text` holds, or an absent one if it is not well-formed UTF-8 JSON, or nested more
    /// than kDepth deep.
    ///
    /// ```
    /// Json::parse("[1,2", 4).kind();  // Kind::absent
    /// ```
    static Json parse(const char* text, size_t length) {
        detail::Scanner scanner(text, text + length);
        scanner.space();
        const char* from = scanner.at;
        if (!scanner.value()) return Json();
        const char* to = scanner.at;
        scanner.space();
        return scanner.at == scanner.end ? Json(from, to) : Json();
    }

    /// The same for a terminated text.
    ///
    /// ```
    /// Json::parse("true").kind();  // Kind::boolean
    /// ```
    static Json parse(const char* text) { return parse(text, strlen(text)); }

    /// What it is.
    ///
    /// ```
    /// if (value.kind() == fieldhook::Json::Kind::number) {}
    /// ```
    Kind kind() const { return kind_; }

    /// Its JSON text, digits and escapes as they were sent; not terminated.
    ///
    /// ```
    /// Json::parse(" 21.50 ").raw();  // 5 bytes: 21.50
    /// ```
    Text raw() const { return Text{data_, length_}; }

    /// Copies its JSON text, terminated. False if `size` is too small or it is absent; `out` is then as before.
    ///
    /// ```
    /// char args[64];
    /// if (command.args.copy(args, sizeof args)) Log.info("args %s", args);
    /// ```
    bool copy(char* out, size_t size) const {
        if (kind_ == Kind::absent || size <= length_) return false;
        memcpy(out, data_, length_);
        out[length_] = '\0';
        return true;
    }

    /// Reads `true` or `false`.
    ///
    /// ```
    /// bool on = false;
    /// value.read(on);
    /// ```
    bool read(bool& out) const {
        if (kind_ != Kind::boolean) return false;
        out = *data_ == 't';
        return true;
    }

    /// Reads a whole number that fits the variable: `21`, `21.0` and `2.1e1`, not `21.5`; not -1 if unsigned.
    ///
    /// ```
    /// uint8_t percent = 0;
    /// Json::parse("300").read(percent);  // false
    /// ```
    template <typename T>
    typename std::enable_if<std::is_integral<T>::value, bool>::type read(T& out) const {
        if (kind_ != Kind::number) return false;
        const detail::Decimal decimal(data_, data_ + length_);
        uint64_t size;
        if (!decimal.whole(size)) return false;
        const uint64_t most = static_cast<uint64_t>((std::numeric_limits<T>::max)());
        if (!decimal.negative || size == 0) {
            if (size > most) return false;
            out = static_cast<T>(size);
            return true;
        }
        if (!std::is_signed<T>::value || size > most + 1) return false;
        out = static_cast<T>(-static_cast<int64_t>(size - 1) - 1);
        return true;
    }

    /// Reads a number.
    ///
    /// ```
    /// double target = 20;
    /// Json::parse("21.5").read(target);
    /// ```
    bool read(double& out) const {
        return kind_ == Kind::number && detail::Decimal(data_, data_ + length_).real(out);
    }

    /// Reads a number that fits a float.
    ///
    /// ```
    /// float target = 20;
    /// value.read(target);
    /// ```
    bool read(float& out) const {
        double value;
        if (!read(value)) return false;
        const double most = static_cast<double>((std::numeric_limits<float>::max)());
        if (value > most || value < -most) return false;
        out = static_cast<float>(value);
        return true;
    }

    /// Reads a string, its escapes decoded, terminated. False, and `out` as before, if it is no string, needs
    /// more than `size` bytes, or holds a NUL, which would cut it.
    ///
    /// ```
    /// char name[16];
    /// if (json["name"].read(name, sizeof name)) Log.info("%s", name);
    /// ```
    bool read(char* out, size_t size) const {
        if (kind_ != Kind::text) return false;
        size_t length = 0;
        detail::Decoder measure = decoder();
        for (int byte = measure.next(); byte >= 0; byte = measure.next()) {
            if (byte == 0) return false;
            length++;
        }
        if (size <= length) return false;
        detail::Decoder bytes = decoder();
        for (size_t i = 0; i < length; i++) out[i] = static_cast<char>(bytes.next());
        out[length] = '\0';
        return true;
    }

    /// Is it the string `expected`, its escapes decoded?
    ///
    /// ```
    /// if (json["mode"].is("eco")) {}
    /// ```
    bool is(const char* expected) const {
        if (kind_ != Kind::text) return false;
        detail::Decoder bytes = decoder();
        for (int byte = bytes.next(); byte >= 0; byte = bytes.next(), expected++) {
            if (byte == 0 || static_cast<uint8_t>(*expected) != byte) return false;
        }
        return *expected == '\0';
    }

    /// The member of an object, the last one of that name; else an absent value, so that steps can be chained.
    ///
    /// ```
    /// int low = 5;
    /// json["limits"]["low"].read(low);
    /// ```
    Json operator[](const char* name) const;

    /// The bytes of a string. For Path and for programs that read long strings piece by piece.
    ///
    /// ```
    /// fieldhook::detail::Decoder bytes = value.decoder();
    /// for (int byte = bytes.next(); byte >= 0; byte = bytes.next()) Serial.write(byte);
    /// ```
    detail::Decoder decoder() const {
        return kind_ == Kind::text ? detail::Decoder(data_ + 1, data_ + length_ - 1) : detail::Decoder(nullptr, nullptr);
    }

private:
    friend class Members;
    friend class Items;
    friend class Leaves;

    /// A value that a Scanner has passed over.
    Json(const char* from, const char* to)
        : data_(from), length_(static_cast<uint32_t>(to - from)), kind_(kindOf(*from)) {}

    static Kind kindOf(char first) {
        switch (first) {
            case '{': return Kind::object;
            case '[': return Kind::array;
            case '"': return Kind::text;
            case 't':
            case 'f': return Kind::boolean;
            case 'n': return Kind::null;
            default: return Kind::number;
        }
    }

    const char* data_;
    uint32_t length_;
    Kind kind_;
};

/// The members of an object, in order. Nothing if the value is no object.
///
/// ```
/// fieldhook::Members members(json);
/// while (members.next()) {
///     if (members.key().is("low")) members.value().read(low);
/// }
/// ```
class Members {
public:
    explicit Members(const Json& object) : scanner_(nullptr, nullptr) {
        if (object.kind() != Json::Kind::object) return;
        scanner_ = detail::Scanner(object.data_ + 1, object.data_ + object.length_ - 1);
    }

    /// Goes to the next member; false at the end.
    bool next() {
        scanner_.space();
        scanner_.take(',');
        const char* from;
        const char* to;
        if (!scanner_.key(from, to)) return false;
        key_ = Json(from, to);
        scanner_.space();
        from = scanner_.at;
        if (!scanner_.value()) return false;
        value_ = Json(from, scanner_.at);
        return true;
    }

    /// The name of this member, a string value: `members.key().is("low")`.
    const Json& key() const { return key_; }
    /// The value of this member: `members.value().read(low)`.
    const Json& value() const { return value_; }

private:
    detail::Scanner scanner_;
    Json key_;
    Json value_;
};

inline Json Json::operator[](const char* name) const {
    Json found;
    Members members(*this);
    while (members.next()) {
        if (members.key().is(name)) found = members.value();
    }
    return found;
}

/// The items of an array, in order. Nothing if the value is no array.
///
/// ```
/// fieldhook::Items items(leaf.value);
/// int sum = 0, item;
/// while (items.next()) {
///     if (items.value().read(item)) sum += item;
/// }
/// ```
class Items {
public:
    explicit Items(const Json& array) : scanner_(nullptr, nullptr) {
        if (array.kind() != Json::Kind::array) return;
        scanner_ = detail::Scanner(array.data_ + 1, array.data_ + array.length_ - 1);
    }

    /// Goes to the next item; false at the end.
    bool next() {
        scanner_.space();
        scanner_.take(',');
        scanner_.space();
        const char* from = scanner_.at;
        if (!scanner_.value()) return false;
        value_ = Json(from, scanner_.at);
        return true;
    }

    /// This item: `items.value().read(number)`.
    const Json& value() const { return value_; }

private:
    detail::Scanner scanner_;
    Json value_;
};

/// Where a leaf is, as keys from the top; written as a JSON Pointer (RFC 6901), `/heating/target`.
///
/// ```
/// if (leaf.path.is("/heating/target")) {}
/// ```
class Path {
public:
    Path() : depth_(0) {}

    /// How many keys there are, at least 1: `/heating/target` has 2.
    size_t depth() const { return depth_; }

    /// A key, from the top; absent past the end.
    ///
    /// ```
    /// if (leaf.path.key(0).is("heating")) {}
    /// ```
    Json key(size_t index) const { return index < depth_ ? keys_[index] : Json(); }

    /// Is it this pointer? In keys, `~` is written `~0` and `/` is written `~1`.
    ///
    /// ```
    /// if (leaf.path.is("/limits/low")) {}
    /// ```
    bool is(const char* pointer) const {
        Matching matching = {pointer, true};
        write(matching);
        return matching.same && *matching.rest == '\0';
    }

    /// Copies the pointer, terminated. False, and `out` as before, if it does not fit.
    ///
    /// ```
    /// char text[64];
    /// if (leaf.path.copy(text, sizeof text)) Log.info("unknown %s", text);
    /// ```
    bool copy(char* out, size_t size) const {
        Counting counting = {0};
        write(counting);
        if (size <= counting.length) return false;
        Copying copying = {out};
        write(copying);
        *copying.out = '\0';
        return true;
    }

private:
    friend class Leaves;

    struct Matching {
        void put(char c) {
            same = same && *rest == c && c != '\0';
            if (same) rest++;
        }
        const char* rest;
        bool same;
    };
    struct Counting {
        void put(char) { length++; }
        size_t length;
    };
    struct Copying {
        void put(char c) { *out++ = c; }
        char* out;
    };

    template <typename To>
    void write(To& to) const {
        for (size_t i = 0; i < depth_; i++) {
            to.put('/');
            detail::Decoder bytes = keys_[i].decoder();
            for (int byte = bytes.next(); byte >= 0; byte = bytes.next()) {
                if (byte == '~' || byte == '/') {
                    to.put('~');
                    to.put(byte == '~' ? '0' : '1');
                } else {
                    to.put(static_cast<char>(byte));
                }
            }
        }
    }

    Json keys_[kDepth];
    size_t depth_;
};

/// One desired value. Arrays come whole, and so does an empty object; other objects come as their leaves.
///
/// ```
/// void apply(const fieldhook::Leaf& leaf) {
///     if (leaf.is("/target")) leaf.deleted() ? useDefault() : (void)leaf.value.read(target);
/// }
/// ```
struct Leaf {
    Path path;
    Json value;

    /// The key was deleted: forget it, and report it as null (`report.remove("target")`).
    bool deleted() const { return value.kind() == Json::Kind::null; }
    /// Is it the leaf at this pointer? `leaf.is("/heating/target")`.
    bool is(const char* pointer) const { return path.is(pointer); }
};

/// The leaves of an object, depth first. Device walks them for you.
///
/// ```
/// fieldhook::Leaves leaves(Json::parse("{\"a\":{\"b\":1},\"c\":null}"));
/// fieldhook::Leaf leaf;
/// while (leaves.next(leaf)) {}  // /a/b is 1, /c is deleted
/// ```
class Leaves {
public:
    explicit Leaves(const Json& object) : scanner_(nullptr, nullptr), depth_(0) {
        if (object.kind() != Json::Kind::object) return;
        scanner_ = detail::Scanner(object.data_ + 1, object.data_ + object.length_);
    }

    /// Goes to the next leaf; false at the end.
    bool next(Leaf& leaf) {
        for (;;) {
            scanner_.space();
            if (scanner_.take('}')) {
                if (depth_ == 0) return false;
                depth_--;
                continue;
            }
            scanner_.take(',');
            const char* from;
            const char* to;
            if (!scanner_.key(from, to)) return false;
            leaf.path.keys_[depth_] = Json(from, to);
            scanner_.space();
            if (descends()) {
                depth_++;
                continue;
            }
            from = scanner_.at;
            if (!scanner_.value()) return false;
            leaf.path.depth_ = depth_ + 1;
            leaf.value = Json(from, scanner_.at);
            return true;
        }
    }

private:
    /// Enters the object at hand, unless it is empty.
    bool descends() {
        detail::Scanner inside = scanner_;
        if (depth_ + 1 >= kDepth || !inside.take('{')) return false;
        inside.space();
        if (inside.take('}')) return false;
        scanner_ = inside;
        return true;
    }

    detail::Scanner scanner_;
    size_t depth_;
};

// ---------------------------------------------------------------------------------------------------------
// Joining parts
// ---------------------------------------------------------------------------------------------------------

/// What became of a part.
enum class Joining : uint8_t {
    waiting,   ///< kept; others are missing
    whole,     ///< it completed the reply
    repeated,  ///< it was there already
    dropped    ///< empty, longer than Particle's parts, or of a reply with more parts than there is room for
};

/// Counts since the start, for a log or a diagnostic variable.
struct JoinerCounts {
    uint32_t whole;     ///< replies completed
    uint32_t repeated;  ///< parts that were there already
    uint32_t dropped;   ///< parts that were refused
    uint32_t late;      ///< replies given up: a part did not come in time
    uint32_t displaced; ///< replies given up: another one took the room, or had the same name
};

/// Joins the parts of replies: at most `Slots` of several parts at once, each of at most `Parts`.
///
/// Parts may come in any order, repeated, and mixed with those of other replies. A reply of one part needs no
/// slot. Plain parts know only their topic, so two plain replies to the same event, under way at once, can be
/// mixed up; framed ones cannot.
///
/// ```
/// fieldhook::Joiner<4, 2> joiner;  // 4 KB: two replies of up to 2 KB
/// fieldhook::Text text;
/// if (joiner.add(topic, data, strlen(data), millis(), text) == fieldhook::Joining::whole) {
///     Log.write(text.data, text.length);  // until the next add
/// }
/// ```
template <size_t Parts = 4, size_t Slots = 2>
class Joiner {
    static_assert(Parts >= 1 && Parts <= kPartsLimit, "a reply has 1 to 35 parts");
    static_assert(Slots >= 1 && Slots <= 16, "1 to 16 replies at once");

public:
    Joiner() : slots_(), counts_() {}

    /// Takes one part as Particle delivers it. `topic` ends in `/<n>`; `now` is millis(). If that completes a
    /// reply, `text` is the whole of it, valid until the next call and as long as `bytes`.
    ///
    /// ```
    /// joiner.add("hook-response/temp/0", "{\"v\":1}", 7, millis(), text);  // Joining::whole
    /// ```
    Joining add(const char* topic, const char* bytes, size_t length, uint32_t now, Text& text) {
        expire(now);
        Part part;
        if (!read(topic, bytes, length, part)) {
            counts_.dropped++;
            return Joining::dropped;
        }
        if (part.index == 0 && part.last) {
            counts_.whole++;
            text = part.text;
            return Joining::whole;
        }
        Slot& slot = slotOf(part, now);
        const Joining joining = slot.finished ? compare(slot, part, now) : fill(slot, part, now);
        if (joining == Joining::whole) {
            counts_.whole++;
            text = Text{slot.text, slot.start(slot.count)};
        }
        if (joining == Joining::repeated) counts_.repeated++;
        return joining;
    }

    /// Gives up what is too old. `add` does that too; call it now and then, at least every 24 days.
    ///
    /// ```
    /// void loop() { joiner.expire(millis()); }
    /// ```
    void expire(uint32_t now) {
        for (size_t i = 0; i < Slots; i++) {
            Slot& slot = slots_[i];
            if (!slot.used || now - slot.since < kJoinMs) continue;  // unsigned: right across the wrap of millis
            if (!slot.finished) counts_.late++;
            slot.used = false;
        }
    }

    /// Forgets all parts.
    ///
    /// ```
    /// joiner.clear();
    /// ```
    void clear() {
        for (size_t i = 0; i < Slots; i++) slots_[i].used = false;
    }

    /// What happened so far.
    ///
    /// ```
    /// Log.info("%lu replies were incomplete", (unsigned long)joiner.counts().late);
    /// ```
    const JoinerCounts& counts() const { return counts_; }

private:
    struct Part {
        uint32_t reply;  ///< tells replies apart: a hash of the topic without its index, tag and count
        size_t index;
        size_t count;  ///< 0: not known from this part
        bool last;
        Text text;
    };

    struct Slot {
        uint64_t have;  ///< a bit per part; once finished, those that came again
        uint32_t reply;
        uint32_t since;  ///< when its first part came; once finished, when it was
        bool used;
        bool finished;   ///< handed out; kept for a while to know late repetitions of its parts
        uint8_t count;   ///< 0: not known yet
        uint16_t lengths[Parts];
        char text[Parts > 1 ? Parts * kPart : 1];  ///< part i at i * 512; once finished, without gaps

        bool has(size_t index) const { return (have >> index & 1) != 0; }

        /// Where a part is, once finished.
        size_t start(size_t index) const {
            size_t at = 0;
            for (size_t i = 0; i < index; i++) at += lengths[i];
            return at;
        }

        bool holds(const char* at, const Part& part) const {
            return lengths[part.index] == part.text.length && memcmp(at, part.text.data, part.text.length) == 0;
        }

        bool complete() const { return count != 0 && have == (static_cast<uint64_t>(1) << count) - 1; }

        void restart(uint32_t now) {
            have = 0;
            since = now;
            finished = false;
            count = 0;
        }
    };

    /// The index that ends a topic, or -1; `stem` is the length of the rest.
    static int indexOf(const char* topic, size_t& stem) {
        const size_t length = strlen(topic);
        size_t at = length;
        while (at > 0 && topic[at - 1] >= '0' && topic[at - 1] <= '9') at--;
        stem = length;
        if (at == length || at == 0 || topic[at - 1] != '/' || length - at > 4) return -1;
        int index = 0;
        for (size_t i = at; i < length; i++) index = index * 10 + (topic[i] - '0');
        stem = at;
        return index;
    }

    static int base36(char c) {
        if (c >= '0' && c <= '9') return c - '0';
        return c >= 'a' && c <= 'z' ? c - 'a' + 10 : -1;
    }

    static bool tagged(char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
    }

    /// Reads topic and header. A text that only looks framed, its index not that of its topic, is a plain one.
    static bool read(const char* topic, const char* bytes, size_t length, Part& part) {
        if (topic == nullptr || bytes == nullptr || length == 0 || length > kPart) return false;
        size_t stem;
        const int place = indexOf(topic, stem);
        part.reply = detail::hash(topic, stem);
        part.text = Text{bytes, length};
        const bool header = length >= kFrameHeader && bytes[0] == '~' && tagged(bytes[1]) && tagged(bytes[2]) &&
                            bytes[5] == '|';
        const int index = header ? base36(bytes[3]) : -1;
        const int count = header ? base36(bytes[4]) : -1;
        if (index >= 0 && index < count && (place < 0 || index == place)) {
            part.index = static_cast<size_t>(index);
            part.count = static_cast<size_t>(count);
            part.last = index + 1 == count;
            part.reply = (part.reply ^ detail::hash(bytes, 3)) * 31 + static_cast<uint32_t>(count);
            size_t end = length;
            while (end > kFrameHeader && bytes[end - 1] == '\0') end--;
            part.text = Text{bytes + kFrameHeader, end - kFrameHeader};
        } else {
            part.index = place < 0 ? 0 : static_cast<size_t>(place);
            part.last = length < kPart;
            part.count = part.last ? part.index + 1 : 0;
        }
        const size_t needed = part.count != 0 ? part.count : part.index + 2;
        return needed <= Parts || (part.index == 0 && part.last);
    }

    /// The slot of this reply, or one that is free, or made so: a finished one, else the oldest.
    Slot& slotOf(const Part& part, uint32_t now) {
        Slot* found = nullptr;
        Slot* oldest = &slots_[0];
        for (size_t i = 0; i < Slots; i++) {
            Slot& slot = slots_[i];
            if (slot.used && slot.reply == part.reply) return slot;
            if (!slot.used) {
                found = &slot;
            } else if (oldest->finished == slot.finished ? now - slot.since > now - oldest->since : slot.finished) {
                oldest = &slot;
            }
        }
        if (found == nullptr) {
            found = oldest;
            if (!found->finished) counts_.displaced++;
        }
        found->restart(now);
        found->used = true;
        found->reply = part.reply;
        return *found;
    }

    Joining fill(Slot& slot, const Part& part, uint32_t now) {
        char* at = slot.text + part.index * kPart;
        if (slot.has(part.index) && slot.holds(at, part)) return Joining::repeated;
        if (contradicts(slot, part)) {
            // Another reply of the same name: the newer one is the one worth waiting for.
            counts_.displaced++;
            slot.restart(now);
        }
        memcpy(at, part.text.data, part.text.length);
        slot.lengths[part.index] = static_cast<uint16_t>(part.text.length);
        slot.have |= static_cast<uint64_t>(1) << part.index;
        if (part.count != 0) slot.count = static_cast<uint8_t>(part.count);
        if (!slot.complete()) return Joining::waiting;
        finish(slot, now);
        return Joining::whole;
    }

    static bool contradicts(const Slot& slot, const Part& part) {
        if (slot.has(part.index)) return true;
        if (slot.count != 0 && (part.index >= slot.count || (part.last && part.index + 1u != slot.count))) return true;
        return part.last && (slot.have >> part.index) != 0;
    }

    static void finish(Slot& slot, uint32_t now) {
        size_t end = slot.lengths[0];
        for (size_t i = 1; i < slot.count; i++) {
            memmove(slot.text + end, slot.text + i * kPart, slot.lengths[i]);
            end += slot.lengths[i];
        }
        slot.finished = true;
        slot.have = 0;
        slot.since = now;
    }

    /// A part for a finished reply: a repetition, the whole reply once more, or the first part of another one.
    Joining compare(Slot& slot, const Part& part, uint32_t now) {
        if (part.index < slot.count && slot.holds(slot.text + slot.start(part.index), part)) {
            slot.have |= static_cast<uint64_t>(1) << part.index;
            if (!slot.complete()) return Joining::repeated;
            slot.have = 0;
            slot.since = now;
            return Joining::whole;
        }
        slot.restart(now);
        return fill(slot, part, now);
    }

    Slot slots_[Slots];
    JoinerCounts counts_;
};

// ---------------------------------------------------------------------------------------------------------
// Writing a report
// ---------------------------------------------------------------------------------------------------------

/// Writes a JSON object into a buffer of yours. A member that does not fit is left out whole, so what is
/// written is always valid; `complete` says whether anything was left out.
///
/// ```
/// char buffer[256];
/// fieldhook::Report report(buffer, sizeof buffer);
/// report.add("temperature", 21.437, 1).add("heating", true).add("mode", "eco");
/// report.open("limits").add("low", 5).close();
/// report.finish();  // {"temperature":21.4,"heating":true,"mode":"eco","limits":{"low":5}}
/// ```
class Report {
public:
    /// Begins an object in `buffer`, which holds at most `size` bytes with the terminator.
    Report(char* buffer, size_t size) : Report(buffer, size, 0) {}

    /// Adds a string, escaped as JSON needs it. What is not UTF-8 in it becomes U+FFFD; a null pointer is left out.
    ///
    /// ```
    /// report.add("mode", "eco");
    /// ```
    Report& add(const char* key, const char* value) {
        if (value == nullptr) {
            complete_ = false;
            return *this;
        }
        return member(key, [this, value] { quote(value, strlen(value)); });
    }

    /// Adds `true` or `false`.
    ///
    /// ```
    /// report.add("heating", digitalRead(RELAY) == HIGH);
    /// ```
    Report& add(const char* key, bool value) {
        return member(key, [this, value] { value ? put("true", 4) : put("false", 5); });
    }

    /// Adds a whole number.
    ///
    /// ```
    /// report.add("uptime", millis() / 1000);
    /// ```
    template <typename T>
    typename std::enable_if<std::is_integral<T>::value, Report&>::type add(const char* key, T value) {
        const bool minus = value < static_cast<T>(0);
        const uint64_t size = minus ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
        return member(key, [this, minus, size] { number(minus, size, 0); });
    }

    /// Adds a number, rounded to at most `decimals` (0 to 9) places. One that is not finite, or does not fit 18
    /// digits, is left out: null would say that the key is gone.
    ///
    /// ```
    /// report.add("temperature", 21.437, 1);  // 21.4
    /// ```
    Report& add(const char* key, double value, unsigned decimals = 3) {
        if (decimals > 9) decimals = 9;
        const bool minus = value < 0;
        const double scaled = (minus ? -value : value) * detail::Decimal::tens(static_cast<int32_t>(decimals)) + 0.5;
        if (!(scaled < 1e18)) {
            complete_ = false;
            return *this;
        }
        const uint64_t size = static_cast<uint64_t>(scaled);
        return member(key, [this, minus, size, decimals] { number(minus && size != 0, size, decimals); });
    }

    /// Adds a JSON value as it came, its digits kept. An absent one is left out.
    ///
    /// ```
    /// report.add("schedule", leaf.value);  // arrays, for example
    /// ```
    Report& add(const char* key, const Json& value) {
        const Text raw = value.raw();
        if (value.kind() == Json::Kind::absent) {
            complete_ = false;
            return *this;
        }
        return member(key, [this, raw] { put(raw.data, raw.length); });
    }

    /// Says that the device no longer has this key.
    ///
    /// ```
    /// report.remove("schedule");
    /// ```
    Report& remove(const char* key) {
        return member(key, [this] { put("null", 4); });
    }

    /// Begins an object inside: what is added until `close` goes into it.
    ///
    /// ```
    /// report.open("limits").add("low", 5).add("high", 25).close();
    /// ```
    Report& open(const char* key) {
        if (skipped_ == 0 && opened_ + 1 < kDepth) {
            const size_t before = used_;
            opened_++;  // first, so that room is kept for the brace that closes it
            member(key, [this] { put("{", 1); });
            if (used_ != before) return *this;
            opened_--;
        }
        complete_ = false;
        skipped_++;
        return *this;
    }

    /// Ends the object that `open` began: `report.close();`
    Report& close() {
        if (skipped_ > 0) {
            skipped_--;
        } else if (opened_ > 0) {
            opened_--;
            buffer_[used_++] = '}';
        }
        return *this;
    }

    /// Was everything written that was added?
    ///
    /// ```
    /// if (!report.complete()) Log.warn("the report is too small for all there is to say");
    /// ```
    bool complete() const { return complete_; }

    /// Ends the object and terminates it. Its length, or 0 if the buffer has no room for any. Once only.
    ///
    /// ```
    /// if (report.finish()) Particle.publish("fieldhook/report", buffer);
    /// ```
    size_t finish() {
        if (limit_ == 0) return 0;
        skipped_ = 0;
        while (opened_ > 0) close();
        // With nothing but the brace there is nothing to separate.
        if (tail_ > 1 && used_ > 1) buffer_[used_++] = ',';
        memmove(buffer_ + used_, buffer_ + size_ - 1 - tail_, tail_);
        used_ += tail_;
        buffer_[used_] = '\0';
        limit_ = 0;
        return used_;
    }

private:
    template <size_t, size_t, size_t, size_t>
    friend class Device;

    /// With what ends the object (`"_v":17}`) already in the buffer's last `tail` bytes but one.
    Report(char* buffer, size_t size, size_t tail)
        : buffer_(buffer), size_(size), tail_(tail == 0 ? 1 : tail), limit_(0), used_(0), opened_(0), skipped_(0),
          complete_(true), fits_(true) {
        if (size < tail_ + 2) {
            complete_ = false;
            if (size > 0) buffer[0] = '\0';
            return;
        }
        if (tail == 0) buffer_[size_ - 2] = '}';
        limit_ = size_ - 1 - tail_ - (tail_ > 1 ? 1 : 0);
        if (limit_ == 0) limit_ = 1;  // exactly the brace and the tail
        buffer_[used_++] = '{';
    }

    template <typename Value>
    Report& member(const char* key, Value value) {
        const size_t before = used_;
        if (limit_ == 0 || skipped_ > 0) {
            complete_ = false;
            return *this;
        }
        fits_ = true;
        if (buffer_[used_ - 1] != '{') put(",", 1);
        quote(key, strlen(key));
        put(":", 1);
        value();
        if (!fits_) {
            used_ = before;
            complete_ = false;
        }
        return *this;
    }

    void put(const char* bytes, size_t length) {
        fits_ = fits_ && used_ + length + opened_ <= limit_;
        if (!fits_) return;
        memcpy(buffer_ + used_, bytes, length);
        used_ += length;
    }

    void quote(const char* text, size_t length) {
        const char* end = text + length;
        put("\"", 1);
        for (const char* at = text; at < end && fits_;) {
            const uint8_t c = static_cast<uint8_t>(*at);
            const size_t size = detail::utf8Length(at, end);
            if (size == 0) {
                put("\xEF\xBF\xBD", 3);
            } else if (c == '"' || c == '\\') {
                const char escaped[2] = {'\\', *at};
                put(escaped, 2);
            } else if (c < 0x20) {
                const char* hex = "0123456789abcdef";
                const char escaped[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
                put(escaped, 6);
            } else {
                put(at, size);
            }
            at += size == 0 ? 1 : size;
        }
        put("\"", 1);
    }

    /// `size` is the number times ten to the power of `decimals`; zeros at the end of the fraction are left out.
    void number(bool minus, uint64_t size, unsigned decimals) {
        for (; decimals > 0 && size % 10 == 0; decimals--) size /= 10;
        char text[24];
        size_t at = sizeof text;
        unsigned written = 0;
        while (size != 0 || written <= decimals) {
            if (written == decimals && written != 0) text[--at] = '.';
            text[--at] = static_cast<char>('0' + size % 10);
            size /= 10;
            written++;
        }
        if (minus) text[--at] = '-';
        put(text + at, sizeof text - at);
    }

    char* buffer_;
    size_t size_;
    size_t tail_;
    size_t limit_;  ///< where members must end; 0: nothing can be added (any more)
    size_t used_;
    uint32_t opened_;
    uint32_t skipped_;  ///< objects opened inside one that did not fit
    bool complete_;
    bool fits_;
};

// ---------------------------------------------------------------------------------------------------------
// The contract
// ---------------------------------------------------------------------------------------------------------

/// A command. It is handed to you until you say that it is done, and never again after.
///
/// ```
/// bool execute(const fieldhook::Command& command) {
///     int seconds = 1;
///     if (command.is("blink")) command.args["seconds"].read(seconds);
///     return true;
/// }
/// ```
struct Command {
    uint32_t id;
    Json name;  ///< a string
    Json args;  ///< absent if there are none; `args.copy` gives the JSON text

    /// Is it the command of this name? `command.is("reboot")`.
    bool is(const char* expected) const { return name.is(expected); }
};

/// What `Device::receive` heard.
enum class Heard : uint8_t {
    waiting,   ///< a part; others are missing
    applied,   ///< a reply: its delta and its commands were handed to you
    old,       ///< a reply whose `v` is below the version applied: only its commands counted
    repeated,  ///< a part, or a delta, that was there already: only commands counted
    other,     ///< whole, but no reply of this kind: perhaps a template's; `body` has its text
    dropped    ///< nothing that could be kept; see JoinerCounts
};

/// A device as fieldhook sees one: hears replies, applies what is due, and says so in its reports.
///
/// `Parts` and `Slots` are the Joiner's: with Particle's default reply, one part of at most 511 bytes,
/// `Device<1, 1>` is enough. `Seen` is how many command ids it remembers, and should be above 50, the most that
/// can be waiting; `Acks` is how many it can owe.
///
/// ```
/// fieldhook::Device<> device;
///
/// void heard(const char* topic, const char* data) { device.receive(topic, data, millis(), apply, execute); }
///
/// void loop() {
///     device.tick(millis());
///     if (!device.reportDue()) return;
///     char buffer[512];
///     fieldhook::Report report = device.report(buffer, sizeof buffer);
///     report.add("target", target, 1);
///     if (report.finish() && Particle.publish("fieldhook/report", buffer)) device.reported();
/// }
/// ```
template <size_t Parts = 4, size_t Slots = 2, size_t Seen = 64, size_t Acks = 50>
class Device {
    static_assert(Seen >= 1 && Seen <= 1024 && Acks >= 1 && Acks <= 1024, "1 to 1024 command ids");

public:
    /// The command ids done, to be kept over a reset (EEPROM, retained memory, a file), so that a command whose
    /// ack was lost is not run again. The version is not in it: after a reset the values are gone, and a device
    /// that reports `_v` 0 is sent them again.
    struct Memory {
        uint32_t mark;
        uint32_t count;
        uint32_t ids[Seen];
        uint32_t check;
    };

    Device()
        : joiner_(), recent_(), body_(Text{nullptr, 0}), version_(0), changes_(0), written_(0), reported_(0),
          seenCount_(0), seenNext_(0), ackCount_(0), acksWritten_(0), more_(false) {}

    /// Hears one event of the subscription: its name and data, as Device OS passes them, and millis().
    ///
    /// `onLeaf` is called with each desired value, `void(const Leaf&)`; ignore what you do not know. Then
    /// `onCommand` with each command not done before, `bool(const Command&)`: true says that it is done; after
    /// false it is handed to you again when the cloud sends it again, at the earliest in 10 s. Neither is called
    /// before the whole reply is here and well-formed.
    ///
    /// ```
    /// void heard(const char* topic, const char* data) { device.receive(topic, data, millis(), apply, execute); }
    /// ```
    template <typename OnLeaf, typename OnCommand>
    Heard receive(const char* topic, const char* data, uint32_t now, OnLeaf&& onLeaf, OnCommand&& onCommand) {
        return receive(topic, data, data == nullptr ? 0 : strlen(data), now, onLeaf, onCommand);
    }

    /// The same for data with a length, which may hold NULs.
    ///
    /// ```
    /// device.receive(topic, bytes, length, millis(), apply, execute);
    /// ```
    template <typename OnLeaf, typename OnCommand>
    Heard receive(const char* topic, const char* bytes, size_t length, uint32_t now, OnLeaf&& onLeaf,
                  OnCommand&& onCommand) {
        tick(now);
        body_ = Text{nullptr, 0};
        switch (joiner_.add(topic, bytes, length, now, body_)) {
            case Joining::waiting: return Heard::waiting;
            case Joining::repeated: return Heard::repeated;
            case Joining::dropped: return Heard::dropped;
            case Joining::whole: break;
        }
        return take(Json::parse(body_.data, body_.length), now, onLeaf, onCommand);
    }

    /// Takes what is due from wherever it is: for response templates that have `{{{FIELDHOOK_DUE}}}` inside.
    /// `receive` said `Heard::other` to such a reply, and `body` is its text.
    ///
    /// ```
    /// // template, valid JSON also when nothing is due:
    /// // {"now":"{{{PARTICLE_PUBLISHED_AT}}}","due":{{{FIELDHOOK_DUE}}}{{^FIELDHOOK_DUE}}null{{/FIELDHOOK_DUE}}}
    /// device.take(fieldhook::Json::parse(body.data, body.length)["due"], millis(), apply, execute);
    /// ```
    template <typename OnLeaf, typename OnCommand>
    Heard take(const Json& due, uint32_t now, OnLeaf&& onLeaf, OnCommand&& onCommand) {
        Reply reply;
        if (!reply.read(due)) return Heard::other;
        const Heard heard = apply(reply, due.raw(), now, onLeaf);
        Items commands(reply.commands);
        while (commands.next()) execute(commands.value(), onCommand);
        if (heard == Heard::old) return heard;
        more_ = reply.more;
        if (more_) changes_++;
        return heard;
    }

    /// Begins a report in `buffer`: add what there is to say, then `finish` it. `_v` and `_ack` are in it; acks
    /// have at most half of the buffer, and those that find no room go with the next report.
    ///
    /// ```
    /// char buffer[512];
    /// fieldhook::Report report = device.report(buffer, sizeof buffer);
    /// report.add("temperature", 21.4, 1);
    /// report.finish();  // {"temperature":21.4,"_v":17,"_ack":[5,6]}
    /// ```
    Report report(char* buffer, size_t size) {
        written_ = changes_;
        acksWritten_ = 0;
        Tail tail(buffer, size);
        tail.put("\"_v\":").put(version_);
        for (; acksWritten_ < ackCount_; acksWritten_++) {
            const size_t before = tail.used;
            tail.put(acksWritten_ == 0 ? ",\"_ack\":[" : ",").put(acks_[acksWritten_]);
            // A buffer too small for two halves has no room to share.
            if (tail.used + 2 <= (size < 96 ? size - 2 : size / 2)) continue;
            tail.used = before;
            break;
        }
        if (acksWritten_ > 0) tail.put("]");
        tail.put("}");
        if (!tail.fits()) {
            acksWritten_ = 0;
            written_ = reported_;
            return Report(buffer, size == 0 ? 0 : 1);  // writes nothing, finishes with 0
        }
        memmove(buffer + size - 1 - tail.used, buffer, tail.used);
        return Report(buffer, size, tail.used);
    }

    /// The last report that was begun has gone out: its acks need not be said again. Without this call they
    /// are, in the next one.
    ///
    /// ```
    /// if (Particle.publish("fieldhook/report", buffer)) device.reported();
    /// ```
    void reported() {
        for (size_t i = acksWritten_; i < ackCount_; i++) acks_[i - acksWritten_] = acks_[i];
        ackCount_ = ackCount_ - acksWritten_;
        acksWritten_ = 0;
        reported_ = written_;
    }

    /// Is there something to report at once: a value applied, a command done, or more waiting in the cloud?
    /// Wait at least 1 s between reports, as Particle wants it.
    ///
    /// ```
    /// if (device.reportDue() && millis() - lastReport > 5000) publishReport();
    /// ```
    bool reportDue() const { return changes_ != reported_ || ackCount_ > 0; }

    /// Gives up parts that are too old, and forgets what no longer matters. Call it from loop().
    ///
    /// ```
    /// void loop() { device.tick(millis()); }
    /// ```
    void tick(uint32_t now) {
        joiner_.expire(now);
        for (size_t i = 0; i < kRecent; i++) {
            if (recent_[i].used && now - recent_[i].since >= kRepeatMs) recent_[i].used = false;
        }
    }

    /// The desired version that has been applied in full; 0 before the first: `device.version()`.
    uint32_t version() const { return version_; }

    /// Did the last reply leave something out? It comes with the reply to the next event: `device.more()`.
    bool more() const { return more_; }

    /// The text of the whole reply that was just received, until the next `receive`, and only as long as the data
    /// given to that: use it in the handler.
    ///
    /// ```
    /// if (device.receive(topic, data, millis(), apply, execute) == fieldhook::Heard::other) {
    ///     fieldhook::Json json = fieldhook::Json::parse(device.body().data, device.body().length);
    /// }
    /// ```
    Text body() const { return body_; }

    /// What the joiner met: `device.counts().late`.
    const JoinerCounts& counts() const { return joiner_.counts(); }

    /// Has this command been done, as far as it remembers? `device.done(5)`.
    bool done(uint32_t id) const {
        for (size_t i = 0; i < seenCount_; i++) {
            if (seen_[i] == id) return true;
        }
        return false;
    }

    /// The command ids to keep over a reset.
    ///
    /// ```
    /// EEPROM.put(0, device.remember());
    /// System.reset();
    /// ```
    Memory remember() const {
        Memory memory = Memory();
        memory.mark = kMark;
        memory.count = static_cast<uint32_t>(seenCount_);
        // From the oldest on, so that they are forgotten in the same order.
        for (size_t i = 0; i < seenCount_; i++) memory.ids[i] = seen_[(seenNext_ + i) % seenCount_];
        memory.check = checkOf(memory);
        return memory;
    }

    /// Takes back what was kept. False if that is not what `remember` gave: erased, or of another size.
    ///
    /// ```
    /// fieldhook::Device<>::Memory memory;
    /// EEPROM.get(0, memory);
    /// device.restore(memory);
    /// ```
    bool restore(const Memory& memory) {
        if (memory.mark != kMark || memory.count > Seen || memory.check != checkOf(memory)) return false;
        seenCount_ = seenNext_ = 0;
        for (size_t i = 0; i < memory.count; i++) see(memory.ids[i]);
        return true;
    }

    /// As if new: for a device that moves to another deployment, where versions and ids begin again.
    ///
    /// ```
    /// device.forget();
    /// ```
    void forget() {
        joiner_.clear();
        for (size_t i = 0; i < kRecent; i++) recent_[i].used = false;
        body_ = Text{nullptr, 0};
        version_ = 0;
        changes_ = written_ = reported_ = 0;
        seenCount_ = seenNext_ = ackCount_ = acksWritten_ = 0;
        more_ = false;
    }

private:
    enum : uint32_t { kRecent = 4, kMark = 0x66683031 };

    /// The parts of a reply that this header knows.
    struct Reply {
        Reply() : version(0), versioned(false), more(false) {}

        /// False if nothing here is known.
        bool read(const Json& due) {
            Members members(due);
            while (members.next()) {
                const Json& key = members.key();
                const Json& value = members.value();
                if (key.is("v")) {
                    versioned = value.read(version);
                } else if (key.is("d") && value.kind() == Json::Kind::object) {
                    delta = value;
                } else if (key.is("c") && value.kind() == Json::Kind::array) {
                    commands = value;
                } else if (key.is("more")) {
                    uint32_t number = 0;
                    more = (value.read(more) && more) || (value.read(number) && number != 0);
                }
            }
            return versioned || delta.kind() != Json::Kind::absent || commands.kind() != Json::Kind::absent || more;
        }

        uint32_t version;
        bool versioned;
        bool more;
        Json delta;
        Json commands;
    };

    /// A delta applied lately.
    struct Recent {
        uint32_t since;
        uint32_t hash;
        uint32_t length;
        bool used;
    };

    /// What ends a report, written at the buffer's start and then moved to its end.
    struct Tail {
        Tail(char* to, size_t room) : buffer(to), size(room), used(0) {}

        Tail& put(const char* text) {
            for (; *text != '\0'; text++) put(*text);
            return *this;
        }

        Tail& put(uint32_t number) {
            uint32_t unit = 1;
            while (number / unit >= 10) unit *= 10;
            for (; unit != 0; unit /= 10) put(static_cast<char>('0' + number / unit % 10));
            return *this;
        }

        void put(char c) {
            if (used < size) buffer[used] = c;
            used++;
        }

        /// With a brace before it and a terminator behind it.
        bool fits() const { return used + 2 <= size; }

        char* buffer;
        size_t size;
        size_t used;
    };

    template <typename OnLeaf>
    Heard apply(const Reply& reply, const Text& text, uint32_t now, OnLeaf& onLeaf) {
        if (reply.versioned && reply.version < version_) return Heard::old;
        const bool news = reply.delta.kind() != Json::Kind::absent;
        if (news && lately(text, now)) return Heard::repeated;
        Leaves leaves(reply.delta);
        Leaf leaf;
        while (leaves.next(leaf)) {
            onLeaf(static_cast<const Leaf&>(leaf));
            changes_++;
        }
        // Without `v` the delta was only a part of what is due, and the version stays.
        if (reply.versioned && reply.version != version_) {
            version_ = reply.version;
            changes_++;
        }
        return Heard::applied;
    }

    /// Has this very reply been applied a moment ago? A repetition that comes after another reply would take
    /// values back, and a delta without `v` has no other sign of its age. Else it is noted.
    bool lately(const Text& text, uint32_t now) {
        const uint32_t hash = detail::hash(text.data, text.length);
        const uint32_t length = static_cast<uint32_t>(text.length);
        Recent* to = &recent_[0];
        for (size_t i = 0; i < kRecent; i++) {
            Recent& recent = recent_[i];
            if (recent.used && recent.hash == hash && recent.length == length) return true;
            if (to->used && (!recent.used || now - recent.since > now - to->since)) to = &recent;
        }
        *to = Recent{now, hash, length, true};
        return false;
    }

    template <typename OnCommand>
    void execute(const Json& json, OnCommand& onCommand) {
        Command command;
        if (!json["id"].read(command.id)) return;
        if (done(command.id)) return acknowledge(command.id);  // the last ack was lost
        command.name = json["n"];
        command.args = json["a"];
        // What could not be acked would be sent, and run, again and again.
        if (command.name.kind() != Json::Kind::text || ackCount_ == Acks) return;
        if (!onCommand(static_cast<const Command&>(command))) return;
        see(command.id);
        acknowledge(command.id);
    }

    void see(uint32_t id) {
        seen_[seenNext_] = id;
        seenNext_ = (seenNext_ + 1) % Seen;
        if (seenCount_ < Seen) seenCount_++;
    }

    void acknowledge(uint32_t id) {
        for (size_t i = 0; i < ackCount_; i++) {
            if (acks_[i] == id) return;
        }
        if (ackCount_ < Acks) acks_[ackCount_++] = id;
    }

    static uint32_t checkOf(const Memory& memory) {
        uint32_t check = memory.count ^ static_cast<uint32_t>(Seen << 16);
        for (size_t i = 0; i < memory.count; i++) check = (check ^ memory.ids[i]) * 16777619u;
        return check;
    }

    Joiner<Parts, Slots> joiner_;
    Recent recent_[kRecent];
    Text body_;
    uint32_t version_;
    uint32_t changes_;   ///< counts what there is to report
    uint32_t written_;   ///< `changes_` when the last report was begun
    uint32_t reported_;  ///< `changes_` that the last report sent had seen
    uint32_t seen_[Seen];
    uint32_t acks_[Acks];  ///< the first `acksWritten_` are in the last report begun
    size_t seenCount_;
    size_t seenNext_;
    size_t ackCount_;
    size_t acksWritten_;
    bool more_;
};

}  // namespace fieldhook

#endif  // FIELDHOOK_H
