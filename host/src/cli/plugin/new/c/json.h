/* JSON, as far as a plugin needs it: a text is checked once, and then looked into. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A value within a text; without a start it is absent. */
typedef struct json_text {
    const char *start;
    size_t length;
} json_text;

/* What nests deeper is taken for no JSON. */
enum { JSON_DEEPEST = 128 };

static const char *json_space(const char *at) {
    return at + strspn(at, " \t\r\n");
}

static bool json_hex(const char *at) {
    return strspn(at, "0123456789abcdefABCDEF") >= 4;
}

/* The end of the string that begins at this quote, or NULL. */
static const char *json_string_end(const char *at) {
    for (at++; *at != '"'; at++) {
        if ((unsigned char)*at < ' ') return NULL;
        if (*at != '\\') continue;
        at++;
        if (*at == 'u' ? !json_hex(at + 1) : *at == 0 || strchr("\"\\/bfnrt", *at) == NULL) return NULL;
    }
    return at + 1;
}

static const char *json_digits(const char *at) {
    size_t digits = strspn(at, "0123456789");
    return digits > 0 ? at + digits : NULL;
}

static const char *json_number_end(const char *at) {
    if (*at == '-') at++;
    if (*at == '0' && at[1] >= '0' && at[1] <= '9') return NULL;
    at = json_digits(at);
    if (at != NULL && *at == '.') at = json_digits(at + 1);
    if (at != NULL && (*at == 'e' || *at == 'E')) {
        at++;
        if (*at == '+' || *at == '-') at++;
        at = json_digits(at);
    }
    return at;
}

/* The end of the value that begins here, or NULL where there is none. */
static const char *json_end(const char *at, int depth) {
    if (*at == '"') return json_string_end(at);
    if (*at == '-' || (*at >= '0' && *at <= '9')) return json_number_end(at);
    for (size_t word = 0; word < 3; word++) {
        static const char *const words[] = { "null", "true", "false" };
        size_t length = strlen(words[word]);
        if (strncmp(at, words[word], length) == 0) return at + length;
    }
    if ((*at != '{' && *at != '[') || depth == JSON_DEEPEST) return NULL;
    bool object = *at == '{';
    char close = object ? '}' : ']';
    at = json_space(at + 1);
    if (*at == close) return at + 1;
    for (;;) {
        if (object) {
            if (*at != '"' || (at = json_string_end(at)) == NULL) return NULL;
            at = json_space(at);
            if (*at != ':') return NULL;
            at = json_space(at + 1);
        }
        if ((at = json_end(at, depth + 1)) == NULL) return NULL;
        at = json_space(at);
        if (*at == close) return at + 1;
        if (*at != ',') return NULL;
        at = json_space(at + 1);
    }
}

/* The value that a text is, or an absent one where it is no JSON. */
static json_text json_value(const char *text) {
    const char *start = json_space(text);
    const char *end = json_end(start, 0);
    if (end == NULL || *json_space(end) != 0) return (json_text){ 0 };
    return (json_text){ start, (size_t)(end - start) };
}

static bool json_is(json_text value, const char *text) {
    return value.start != NULL && value.length == strlen(text) && memcmp(value.start, text, value.length) == 0;
}

static char *json_utf8(char *out, uint32_t code) {
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

static uint32_t json_code(const char *at) {
    char digits[5] = { at[0], at[1], at[2], at[3], 0 };
    return (uint32_t)strtoul(digits, NULL, 16);
}

/* The text of a string, or NULL where the value is none. Half of a surrogate pair and a zero become U+FFFD. */
static const char *json_string(json_text value) {
    if (value.start == NULL || *value.start != '"') return NULL;
    char *text = malloc(value.length + 1), *out = text;
    if (text == NULL) abort();
    const char *end = value.start + value.length - 1;
    for (const char *at = value.start + 1; at < end; at++) {
        if (*at != '\\') {
            *out++ = *at;
            continue;
        }
        static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
        const char *letter = strchr(letters, *++at);
        if (*at != 'u') {
            *out++ = letter != NULL ? meant[letter - letters] : *at;
            continue;
        }
        uint32_t code = json_code(at + 1);
        at += 4;
        if (code >= 0xd800 && code < 0xdc00 && at[1] == '\\' && at[2] == 'u') {
            uint32_t low = json_code(at + 3);
            if (low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                at += 6;
            }
        }
        out = json_utf8(out, code == 0 || (code >= 0xd800 && code < 0xe000) ? 0xfffd : code);
    }
    *out = 0;
    return text;
}

/* The member of an object by its name, the last of several; absent where there is none. */
static json_text json_member(json_text object, const char *name) {
    json_text found = { 0 };
    if (object.start == NULL || *object.start != '{') return found;
    const char *at = json_space(object.start + 1);
    while (*at == '"') {
        const char *end = json_string_end(at);
        const char *known = json_string((json_text){ at, (size_t)(end - at) });
        const char *start = json_space(json_space(end) + 1);
        end = json_end(start, 0);
        if (strcmp(known, name) == 0) found = (json_text){ start, (size_t)(end - start) };
        at = json_space(end);
        at = json_space(at + (*at == ','));
    }
    return found;
}

/* Writes a text as a string. */
static void json_print(const char *text) {
    putchar('"');
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') printf("\\%c", byte);
        else if (byte < ' ') printf("\\u%04x", byte);
        else putchar(byte);
    }
    putchar('"');
}

#endif
