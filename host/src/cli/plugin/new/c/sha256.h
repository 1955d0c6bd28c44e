/* SHA-256 (FIPS 180-4), for an id of what has none of its own. */
#ifndef SHA256_H
#define SHA256_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint32_t sha256_turned(uint32_t word, int by) {
    return word >> by | word << (32 - by);
}

static void sha256_block(uint32_t state[8], const uint8_t block[64]) {
    static const uint32_t constants[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    };
    uint32_t words[64], now[8];
    for (int at = 0; at < 16; at++)
        words[at] = (uint32_t)block[at * 4] << 24 | (uint32_t)block[at * 4 + 1] << 16 |
                    (uint32_t)block[at * 4 + 2] << 8 | block[at * 4 + 3];
    for (int at = 16; at < 64; at++) {
        uint32_t low = words[at - 15], high = words[at - 2];
        words[at] = words[at - 16] + words[at - 7] +
                    (sha256_turned(low, 7) ^ sha256_turned(low, 18) ^ low >> 3) +
                    (sha256_turned(high, 17) ^ sha256_turned(high, 19) ^ high >> 10);
    }
    memcpy(now, state, sizeof now);
    for (int at = 0; at < 64; at++) {
        uint32_t e = now[4], a = now[0];
        uint32_t one = now[7] + (sha256_turned(e, 6) ^ sha256_turned(e, 11) ^ sha256_turned(e, 25)) +
                       ((e & now[5]) ^ (~e & now[6])) + constants[at] + words[at];
        uint32_t two = (sha256_turned(a, 2) ^ sha256_turned(a, 13) ^ sha256_turned(a, 22)) +
                       ((a & now[1]) ^ (a & now[2]) ^ (now[1] & now[2]));
        memmove(now + 1, now, 7 * sizeof *now);
        now[4] += one;
        now[0] = one + two;
    }
    for (int at = 0; at < 8; at++) state[at] += now[at];
}

/* The hash of some bytes, in hex. */
static const char *sha256_hex(const char *bytes, size_t length) {
    uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    size_t padded = (length + 9 + 63) / 64 * 64;
    uint8_t *message = calloc(padded, 1);
    if (message == NULL) abort();
    memcpy(message, bytes, length);
    message[length] = 0x80;
    for (int at = 0; at < 8; at++) message[padded - 1 - at] = (uint8_t)((uint64_t)length * 8 >> 8 * at);
    for (size_t at = 0; at < padded; at += 64) sha256_block(state, message + at);
    free(message);
    static const char digits[] = "0123456789abcdef";
    char *hex = malloc(65);
    if (hex == NULL) abort();
    for (int at = 0; at < 64; at++) hex[at] = digits[state[at / 8] >> (28 - at % 8 * 4) & 15];
    hex[64] = 0;
    return hex;
}

#endif
