// A thermostat: reports its temperature, takes its target and its report interval from the cloud, and runs
// the commands `reboot` and `boost`.
//
// 1. Put this file and fieldhook.h into src/ of a Particle project.
// 2. Add this integration (Console: Integrations, Custom Webhook, Custom template); it is
//    particle/integration.json with the event of this sketch. Replace the address and the token.
//
//    {
//      "name": "fieldhook",
//      "event": "fieldhook/report",
//      "url": "https://YOUR-WORKER.YOUR-SUBDOMAIN.workers.dev/hook",
//      "requestType": "POST",
//      "noDefaults": true,
//      "rejectUnauthorized": true,
//      "responseTopic": "{{{PARTICLE_DEVICE_ID}}}/hook-response/{{{PARTICLE_EVENT_NAME}}}",
//      "errorResponseTopic": "{{{PARTICLE_DEVICE_ID}}}/hook-error/{{{PARTICLE_EVENT_NAME}}}",
//      "headers": { "Authorization": "Bearer YOUR-INGEST-TOKEN" },
//      "json": {
//        "event_id": "{{{PARTICLE_EVENT_ID}}}",
//        "event": "{{{PARTICLE_EVENT_NAME}}}",
//        "data": "{{{PARTICLE_EVENT_VALUE}}}",
//        "coreid": "{{{PARTICLE_DEVICE_ID}}}",
//        "published_at": "{{{PARTICLE_PUBLISHED_AT}}}"
//      }
//    }
//
// 3. Want something of it:
//
//    curl -X PATCH $URL/v1/devices/$DEVICE/twin -H "Authorization: Bearer $ADMIN" -d '{"target":22.5}'
//    curl $URL/v1/devices/$DEVICE/commands -H "Authorization: Bearer $ADMIN" -d '{"name":"boost","args":{"minutes":10}}'
//
//    The device hears of it with the reply to its next report, does it, and reports so at once.

#include "Particle.h"
#include "fieldhook.h"

SYSTEM_THREAD(ENABLED);

const char REPORT[] = "fieldhook/report";
const int SENSOR = A0;
const int RELAY = D7;
const int MEMORY_AT = 0;  // where in EEPROM the ids of commands done are kept over a reboot

const float DEFAULT_TARGET = 20;
const float WORTH_REPORTING = 0.5;         // a change of so many degrees
const uint32_t SHORTEST_PAUSE = 5 * 1000;  // ms between reports; each one is a billed data operation
const uint32_t READ_EVERY = 1000;

// Replies are at most one part (REPLY_BUDGET 511, the default), so there is nothing to join.
typedef fieldhook::Device<1, 1> Device;
Device device;

bool targetSet = false;  // by the cloud
float target = DEFAULT_TARGET;
uint32_t reportMinutes = 15;
uint32_t boostMs = 0;
uint32_t boostBegan = 0;
bool rebootAsked = false;

float temperature = 0;
bool heating = false;
float reportedTemperature = -1000;  // so that the first reading is reported
bool reportedHeating = false;
uint32_t lastRead = 0;
uint32_t lastReport = 0;

// One desired value. What this device does not know, or cannot do, it leaves alone: it stays visible in the
// cloud as a difference between desired and reported.
void apply(const fieldhook::Leaf& leaf) {
    if (leaf.is("/target")) {
        float wanted = DEFAULT_TARGET;
        targetSet = leaf.value.read(wanted) && wanted >= 5 && wanted <= 30;
        target = targetSet ? wanted : DEFAULT_TARGET;
    } else if (leaf.is("/report/minutes")) {
        uint32_t minutes = 15;
        if (leaf.deleted() || (leaf.value.read(minutes) && minutes >= 1 && minutes <= 1440)) reportMinutes = minutes;
    }
}

// One command. True: it is done, and never comes again.
bool execute(const fieldhook::Command& command) {
    if (command.is("boost")) {
        uint32_t minutes = 5;
        command.args["minutes"].read(minutes);
        boostMs = (minutes < 60 ? minutes : 60) * 60 * 1000;
        boostBegan = millis();
    } else if (command.is("reboot")) {
        rebootAsked = true;  // after the ack has gone out, or it would be sent, and run, again
    }
    return true;  // an unknown command does not become known by waiting
}

void heard(const char* topic, const char* data) {
    if (device.receive(topic, data, millis(), apply, execute) == fieldhook::Heard::other) Log.warn("not a reply: %s", data);
}

// From now on, what was said is known: its acks are not repeated.
bool publishReport() {
    static char buffer[623];  // 622 bytes are what every Device OS can publish
    fieldhook::Report report = device.report(buffer, sizeof buffer);
    report.add("temperature", temperature, 1).add("heating", heating);
    if (targetSet) {
        report.add("target", target, 2);
    } else {
        report.remove("target");
    }
    report.open("report").add("minutes", reportMinutes).close();
    lastReport = millis();
    if (!report.finish() || !Particle.publish(REPORT, buffer, WITH_ACK)) return false;
    device.reported();
    reportedTemperature = temperature;
    reportedHeating = heating;
    return true;
}

void control() {
    // A TMP36: 10 mV per degree, 500 mV at 0 °C.
    temperature = (analogRead(SENSOR) * 3300.0f / 4095.0f - 500.0f) / 10.0f;
    if (boostMs != 0 && millis() - boostBegan >= boostMs) boostMs = 0;
    const float hysteresis = heating ? 0.2f : -0.2f;
    heating = boostMs != 0 || temperature < target + hysteresis;
    digitalWrite(RELAY, heating ? HIGH : LOW);
}

bool worthReporting() {
    const float change = temperature - reportedTemperature;
    return device.reportDue() || heating != reportedHeating || change >= WORTH_REPORTING || change <= -WORTH_REPORTING ||
           millis() - lastReport >= reportMinutes * 60 * 1000;
}

void setup() {
    pinMode(RELAY, OUTPUT);
    Device::Memory memory;
    EEPROM.get(MEMORY_AT, memory);
    device.restore(memory);
    // Only what is meant for this device: parts for others would be billed too.
    Particle.subscribe(System.deviceID() + "/hook-response/" + REPORT + "/", heard);
    lastRead = lastReport = millis() - SHORTEST_PAUSE;
}

void loop() {
    device.tick(millis());
    if (millis() - lastRead >= READ_EVERY) {
        lastRead = millis();
        control();
    }
    if (!Particle.connected() || millis() - lastReport < SHORTEST_PAUSE || !worthReporting()) return;
    if (publishReport() && rebootAsked) {
        EEPROM.put(MEMORY_AT, device.remember());
        System.reset();
    }
}
