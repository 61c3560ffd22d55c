// Everything of the header that can be instantiated, compiled as for a device. What this object file needs
// from outside is what a device needs: scripts/firmware.mjs reads its symbols.

#include "../fieldhook.h"

template class fieldhook::Joiner<35, 3>;
template class fieldhook::Device<>;

namespace {
fieldhook::Device<> device;
int known = 0;
void apply(const fieldhook::Leaf& leaf) {
    char text[32];
    float single = 0;
    double real = 0;
    int whole = 0;
    bool yes = false;
    known += leaf.value.read(text, sizeof text) + leaf.value.read(single) + leaf.value.read(real) + leaf.value.read(whole) +
             leaf.value.read(yes) + leaf.is("/a") + leaf.path.copy(text, sizeof text);
}
bool execute(const fieldhook::Command& command) { return command.is("x") && command.args["a"].read(known); }
}  // namespace

int use(const char* topic, const char* data, char* buffer, size_t size) {
    device.receive(topic, data, 0u, apply, execute);
    device.restore(device.remember());
    fieldhook::Report report = device.report(buffer, size);
    report.add("a", "b").add("c", 1.5).add("d", 1).add("e", true).remove("f").open("g").add("h", 2u).close();
    device.reported();
    return static_cast<int>(report.finish());
}
