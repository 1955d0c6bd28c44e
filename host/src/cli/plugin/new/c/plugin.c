/* A plugin for the alert gateway: it makes alerts of the requests of `my-plugin`'s sender.
 *
 * As it stands, it reads {"id": "17", "check": "db-1", "title": "...", "severity": "...", "ok": false}. To make it
 * yours: put a real request of your sender into cases/, and change `known` until the answer is right.
 *
 * It is a command: the gateway starts it for each request with the argument `read` and the request as JSON on
 * standard input, or once with the argument `describe`; the answer goes to standard output. */
#include "contract.h"
#include "json.h"
#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char DESCRIPTION[] =
    "{\"contract\":1,\"name\":\"my-plugin\",\"version\":\"0.1.0\",\"summary\":\"Reads the requests of my-plugin.\","
    "\"settings\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"priority\":{"
    "\"description\":\"How urgent an event is that does not say so itself.\","
    "\"enum\":[\"critical\",\"high\",\"medium\",\"low\"],\"default\":\"medium\"}}},"
    "\"setup\":\"1. In the sender's settings, add a webhook with the URL `{url}`, by POST and as JSON.\\n"
    "2. Have it send the header `Authorization: Bearer <token>`, with the `token` of this source.\\n\"}";

static gateway_priority priority_of(const char *word) {
    for (int one = GATEWAY_PRIORITY_CRITICAL; one <= GATEWAY_PRIORITY_LOW; one++)
        if (strcmp(gateway_priority_word(one), word) == 0) return one;
    return GATEWAY_PRIORITY_ABSENT;
}

/* An id that is too long becomes its hash. */
static const char *id(const char *given) {
    return strlen(given) <= GATEWAY_MAX_EVENT_ID_BYTES ? given : sha256_hex(given, strlen(given));
}

/* Room for what an alert points to. */
static gateway_pair label;
static gateway_note note;
static gateway_unreadable unreadable;

/* An event of the expected shape, or an alert that says that it is none. The details have all that the sender
 * said. */
static gateway_alert known(json_text body, const char *text, gateway_priority usual) {
    const char *event_id = json_string(json_member(body, "id"));
    const char *check = json_string(json_member(body, "check"));
    const char *title = json_string(json_member(body, "title"));
    const char *severity = json_string(json_member(body, "severity"));
    if (event_id == NULL || check == NULL || title == NULL || !*event_id || !*check) {
        unreadable = (gateway_unreadable){ .reason = "another shape" };
        return (gateway_alert){
            .event_id = sha256_hex(text, strlen(text)),
            .priority = GATEWAY_PRIORITY_HIGH,
            .status = GATEWAY_STATUS_TRIGGER,
            .title = "my-plugin: an event of unknown shape (another shape); see its details",
            .unreadable = &unreadable,
        };
    }
    label = (gateway_pair){ "check", check };
    gateway_alert alert = {
        .event_id = id(event_id),
        .key = id(check),
        .labels = &label,
        .labels_count = 1,
        .priority = usual,
        .status = json_is(json_member(body, "ok"), "true") ? GATEWAY_STATUS_RESOLVE : GATEWAY_STATUS_TRIGGER,
        .title = title,
    };
    if (severity != NULL && *severity) {
        alert.priority = priority_of(severity);
        if (alert.priority == GATEWAY_PRIORITY_ABSENT) {
            /* A word that is not known never ranks below a known one. */
            alert.priority = GATEWAY_PRIORITY_CRITICAL;
            note = (gateway_note){ .kind = GATEWAY_NOTE_KIND_UNKNOWN_PRIORITY, .field = "severity", .found = severity };
            alert.notes = &note;
            alert.notes_count = 1;
        }
    }
    return alert;
}

static void member(const char *name, const char *value) {
    if (value == NULL) return;
    printf(",\"%s\":", name);
    json_print(value);
}

static void print(const gateway_alert *alert, json_text body, const char *text) {
    fputs("{\"alerts\":[{\"event_id\":", stdout);
    json_print(alert->event_id);
    member("key", alert->key);
    member("status", gateway_status_word(alert->status));
    member("priority", gateway_priority_word(alert->priority));
    member("title", alert->title);
    if (alert->labels_count > 0) {
        fputs(",\"labels\":{", stdout);
        for (size_t at = 0; at < alert->labels_count; at++) {
            if (at > 0) putchar(',');
            json_print(alert->labels[at].name);
            putchar(':');
            json_print(alert->labels[at].value);
        }
        putchar('}');
    }
    if (alert->unreadable != NULL) {
        fputs(",\"unreadable\":{\"reason\":", stdout);
        json_print(alert->unreadable->reason);
        putchar('}');
    }
    for (size_t at = 0; at < alert->notes_count; at++) {
        printf("%s{\"kind\":\"%s\"", at == 0 ? ",\"notes\":[" : ",", gateway_note_kind_word(alert->notes[at].kind));
        member("field", alert->notes[at].field);
        member("found", alert->notes[at].found);
        fputs(at + 1 == alert->notes_count ? "}]" : "}", stdout);
    }
    fputs(",\"details\":", stdout);
    if (body.start != NULL) {
        fwrite(body.start, 1, body.length, stdout);
    } else {
        fputs("{\"body_text\":", stdout);
        json_print(text);
        putchar('}');
    }
    fputs("}]}", stdout);
}

static char *input(void) {
    size_t length = 0, room = 1 << 16;
    char *text = malloc(room);
    for (size_t more; (more = fread(text + length, 1, room - 1 - length, stdin)) > 0;) {
        length += more;
        if (length + 1 == room) text = realloc(text, room *= 2);
    }
    text[length] = 0;
    return text;
}

int main(int count, char **arguments) {
    if (count > 1 && strcmp(arguments[1], "describe") == 0) {
        fputs(DESCRIPTION, stdout);
        return 0;
    }
    json_text request = json_value(input());
    json_text content = json_member(request, "content");
    const char *text = json_string(json_member(content, "text"));
    if (text == NULL) text = json_string(json_member(json_member(request, "body"), "text"));
    /* A body that is not text: this sender has none, and the alert's details carry it as it is. */
    if (text == NULL) text = json_string(json_member(json_member(request, "body"), "base64"));
    if (text == NULL) text = "";
    const char *usual = json_string(json_member(json_member(request, "settings"), "priority"));
    json_text body = json_value(text);
    gateway_alert alert = known(body, text, usual != NULL ? priority_of(usual) : GATEWAY_PRIORITY_MEDIUM);
    print(&alert, body, text);
    return 0;
}
