//! A plugin for the alert gateway: it makes alerts of the requests of `my-plugin`'s sender.
//!
//! As it stands, it reads {"id": "17", "check": "db-1", "title": "…", "severity": "…", "ok": false}. To make it
//! yours: put a real request of your sender into cases/, and change `known` until the answer is right.
//!
//! It is a command: the gateway starts it for each request with the argument `read` and the request as JSON on
//! standard input, or once with the argument `describe`; the answer goes to standard output.

const std = @import("std");
const wasi = std.os.wasi;
const Value = std.json.Value;

const describes = @embedFile("description.json");
const max_id_bytes = 256;

const Priority = enum { critical, high, medium, low };

const Note = struct { kind: []const u8, field: []const u8, found: []const u8 };

const Alert = struct {
    event_id: []const u8,
    key: ?[]const u8 = null,
    status: []const u8 = "trigger",
    priority: Priority,
    title: []const u8,
    labels: ?struct { check: []const u8 } = null,
    unreadable: ?struct { reason: []const u8 } = null,
    notes: ?[]const Note = null,
    details: Value,
};

/// An event of the expected shape, or an alert that says that it is none. The details have all that the sender said.
fn known(memory: std.mem.Allocator, body: []const u8, usual: Priority) !Alert {
    const details = std.json.parseFromSliceLeaky(Value, memory, body, .{ .parse_numbers = false }) catch
        try wrapped(memory, body);
    const event_id = text(details, "id");
    const check = text(details, "check");
    const title = text(details, "title");
    if (event_id.len == 0 or check.len == 0 or title.len == 0) return .{
        .event_id = try hash(memory, body),
        .priority = .high,
        .title = "my-plugin: an event of unknown shape (another shape); see its details",
        .unreadable = .{ .reason = "another shape" },
        .details = details,
    };
    var alert: Alert = .{
        .event_id = try id(memory, event_id),
        .key = try id(memory, check),
        .priority = usual,
        .title = title,
        .labels = .{ .check = check },
        .details = details,
    };
    if (member(details, "ok")) |ok| {
        if (ok == .bool and ok.bool) alert.status = "resolve";
    }
    const severity = text(details, "severity");
    if (severity.len > 0) {
        if (std.meta.stringToEnum(Priority, severity)) |priority| {
            alert.priority = priority;
        } else {
            // A word that is not known never ranks below a known one.
            alert.priority = .critical;
            const note: Note = .{ .kind = "unknown_priority", .field = "severity", .found = severity };
            alert.notes = try memory.dupe(Note, &.{note});
        }
    }
    return alert;
}

/// What is no JSON, as a text in JSON.
fn wrapped(memory: std.mem.Allocator, body: []const u8) !Value {
    const whole = try std.json.Stringify.valueAlloc(memory, .{ .body_text = body }, .{});
    return std.json.parseFromSliceLeaky(Value, memory, whole, .{});
}

fn member(value: ?Value, name: []const u8) ?Value {
    const object = value orelse return null;
    return if (object == .object) object.object.get(name) else null;
}

fn text(value: ?Value, name: []const u8) []const u8 {
    const found = member(value, name) orelse return "";
    return if (found == .string) found.string else "";
}

/// An id that is too long becomes its hash.
fn id(memory: std.mem.Allocator, given: []const u8) ![]const u8 {
    return if (given.len <= max_id_bytes) given else hash(memory, given);
}

fn hash(memory: std.mem.Allocator, bytes: []const u8) ![]const u8 {
    var digest: [32]u8 = undefined;
    std.crypto.hash.sha2.Sha256.hash(bytes, &digest, .{});
    const hex = std.fmt.bytesToHex(digest, .lower);
    return memory.dupe(u8, &hex);
}

fn read(memory: std.mem.Allocator) !void {
    const request = try std.json.parseFromSliceLeaky(Value, memory, try input(memory), .{});
    const content = text(member(request, "content"), "text");
    const body = if (content.len > 0) content else text(member(request, "body"), "text");
    const usual = std.meta.stringToEnum(Priority, text(member(request, "settings"), "priority")) orelse .medium;
    const alert = try known(memory, body, usual);
    const alerts: []const Alert = &.{alert};
    const options: std.json.Stringify.Options = .{ .emit_null_optional_fields = false };
    print(try std.json.Stringify.valueAlloc(memory, .{ .alerts = alerts }, options));
}

pub fn main() !void {
    const memory = std.heap.wasm_allocator;
    if (describing()) print(describes) else try read(memory);
}

/// Whether the second argument is `describe`.
fn describing() bool {
    var list: [2][*:0]u8 = undefined;
    var bytes: [64]u8 = undefined;
    _ = wasi.args_get(@ptrCast(&list), &bytes);
    return std.mem.eql(u8, std.mem.span(list[1]), "describe");
}

fn input(memory: std.mem.Allocator) ![]const u8 {
    var bytes = try memory.alloc(u8, 1 << 16);
    var length: usize = 0;
    while (true) {
        if (length == bytes.len) bytes = try memory.realloc(bytes, 2 * length);
        const rest = [1]wasi.iovec_t{.{ .base = bytes.ptr + length, .len = bytes.len - length }};
        var more: usize = 0;
        if (wasi.fd_read(0, &rest, 1, &more) != .SUCCESS or more == 0) return bytes[0..length];
        length += more;
    }
}

fn print(words: []const u8) void {
    var rest = words;
    while (rest.len > 0) {
        const next = [1]wasi.ciovec_t{.{ .base = rest.ptr, .len = rest.len }};
        var done: usize = 0;
        if (wasi.fd_write(1, &next, 1, &done) != .SUCCESS) return;
        rest = rest[done..];
    }
}
