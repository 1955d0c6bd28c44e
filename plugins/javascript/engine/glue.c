/* The few functions by which the plugin drives QuickJS. One engine, one script, one call: nothing is
 * freed, because the instance ends with the call. */

#include <string.h>
#include "quickjs.h"

/* The plugin's allocator, which alone grows the memory. */
extern void *engine_alloc(size_t size);
extern void engine_free(void *block);
extern void *engine_realloc(void *block, size_t size);
extern size_t engine_size(const void *block);

/* Answers a call of `host(name, text)`: 0 for a value, anything else for an error with that text. */
extern int engine_host(const char *name, size_t name_length, const char *text, size_t text_length,
                       const char **result, size_t *result_length);

static JSRuntime *runtime;
static JSContext *context;

/* What the last call came to: a value, or an error's message and stack. */
static const char *texts[2];
static size_t lengths[2];

static void *of_calloc(void *opaque, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *block = engine_alloc(bytes);
    if (block)
        memset(block, 0, bytes);
    return block;
}

static void *of_malloc(void *opaque, size_t size) { return engine_alloc(size); }

static void of_free(void *opaque, void *block) { engine_free(block); }

static void *of_realloc(void *opaque, void *block, size_t size) {
    return engine_realloc(block, size);
}

static int keep(JSValueConst value, int at) {
    texts[at] = JS_ToCStringLen(context, &lengths[at], value);
    return texts[at] ? 0 : -1;
}

static int failed(void) {
    JSValue error = JS_GetException(context);
    lengths[0] = lengths[1] = 0;
    if (keep(error, 0))
        JS_FreeValue(context, JS_GetException(context));
    if (JS_IsError(error)) {
        JSValue stack = JS_GetPropertyStr(context, error, "stack");
        if (JS_IsString(stack))
            keep(stack, 1);
    }
    return -1;
}

static JSValue host(JSContext *context, JSValueConst this, int count, JSValueConst *arguments) {
    size_t name_length, text_length, length;
    const char *result;
    const char *name = JS_ToCStringLen(context, &name_length, arguments[0]);
    const char *text = JS_ToCStringLen(context, &text_length, arguments[1]);
    if (!name || !text)
        return JS_EXCEPTION;
    int error = engine_host(name, name_length, text, text_length, &result, &length);
    JS_FreeCString(context, name);
    JS_FreeCString(context, text);
    if (error)
        return JS_ThrowTypeError(context, "%.*s", (int)length, result);
    return JS_NewStringLen(context, result, length);
}

int engine_open(size_t stack) {
    static const JSMallocFunctions allocator = {of_calloc, of_malloc, of_free, of_realloc,
                                                engine_size};
    runtime = JS_NewRuntime2(&allocator, NULL);
    if (!runtime)
        return -1;
    JS_SetMaxStackSize(runtime, stack);
    /* The memory of a call is limited by the host, and is gone after it. */
    JS_SetGCThreshold(runtime, (size_t)-1);
    context = JS_NewContext(runtime);
    if (!context)
        return -1;
    JSValue global = JS_GetGlobalObject(context);
    JS_SetPropertyStr(context, global, "host", JS_NewCFunction(context, host, "host", 2));
    JS_FreeValue(context, global);
    return 0;
}

/* Runs a script, or only compiles it. The text ends with a zero that is not counted. */
int engine_eval(const char *text, size_t length, const char *name, int compile) {
    int flags = JS_EVAL_TYPE_GLOBAL | (compile ? JS_EVAL_FLAG_COMPILE_ONLY : 0);
    JSValue value = JS_Eval(context, text, length, name, flags);
    return JS_IsException(value) ? failed() : 0;
}

/* Calls a global function with a value in JSON, and keeps what it returns as text. */
int engine_call(const char *function, const char *json, size_t length) {
    JSValue argument = JS_ParseJSON(context, json, length, "request");
    if (JS_IsException(argument))
        return failed();
    JSValue global = JS_GetGlobalObject(context);
    JSValue callee = JS_GetPropertyStr(context, global, function);
    JSValue value = JS_Call(context, callee, global, 1, &argument);
    if (JS_IsException(value))
        return failed();
    JSContext *other;
    int jobs;
    while ((jobs = JS_ExecutePendingJob(runtime, &other)) > 0)
        ;
    if (jobs < 0)
        return failed();
    if (JS_IsPromise(value)) {
        JSValue result = JS_PromiseResult(context, value);
        switch (JS_PromiseState(context, value)) {
        case JS_PROMISE_FULFILLED:
            value = result;
            break;
        case JS_PROMISE_REJECTED:
            JS_Throw(context, result);
            return failed();
        default:
            JS_ThrowTypeError(context, "the promise that was returned is never settled");
            return failed();
        }
    }
    return keep(value, 0) ? failed() : 0;
}

const char *engine_text(int at, size_t *length) {
    *length = lengths[at];
    return texts[at];
}
