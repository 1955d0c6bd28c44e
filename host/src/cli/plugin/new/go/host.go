package main

import (
	"encoding/base64"
	"encoding/json"
	"unsafe"
)

// The functions of Extism's host, as far as a plugin needs them.

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u8
func inputLoadU8(offset uint64) uint32

//go:wasmimport extism:host/env input_load_u64
func inputLoadU64(offset uint64) uint64

//go:wasmimport extism:host/env alloc
func alloc(length uint64) uint64

//go:wasmimport extism:host/env store_u8
func storeU8(address uint64, value uint32)

//go:wasmimport extism:host/env store_u64
func storeU64(address uint64, value uint64)

//go:wasmimport extism:host/env output_set
func outputSet(address uint64, length uint64)

//go:wasmimport extism:host/env error_set
func errorSet(block uint64)

//go:wasmexport describe
func describe() int32 {
	return put(description())
}

//go:wasmexport read
func read() int32 {
	var request Request
	if err := json.Unmarshal(input(), &request); err != nil {
		return failed(err)
	}
	return put(answer(request))
}

// A library has no use for it.
func main() {}

// The initializer runs once, and each call begins with what it leaves. Package json learns each type at its first use,
// which takes longer than all the rest of a call, so that is done here.
func init() {
	learn[Request](`{"body": {}, "content": {}, "proved": {}}`)
	_, _ = json.Marshal(Answer{})
}

// Learns a type by reading a text that has an object for each of its structs.
func learn[T any](text string) {
	_ = json.Unmarshal([]byte(text), new(T))
}

func input() []byte {
	length := inputLength()
	bytes := make([]byte, length)
	at := uint64(0)
	for ; at+8 <= length; at += 8 {
		*(*uint64)(unsafe.Pointer(&bytes[at])) = inputLoadU64(at)
	}
	for ; at < length; at++ {
		bytes[at] = byte(inputLoadU8(at))
	}
	return bytes
}

func put(value any) int32 {
	bytes, err := json.Marshal(value)
	if err != nil {
		return failed(err)
	}
	block := store(bytes)
	outputSet(block, uint64(len(bytes)))
	return 0
}

func failed(err error) int32 {
	errorSet(store([]byte(err.Error())))
	return 1
}

func store(bytes []byte) uint64 {
	length := uint64(len(bytes))
	block := alloc(length)
	at := uint64(0)
	for ; at+8 <= length; at += 8 {
		storeU64(block+at, *(*uint64)(unsafe.Pointer(&bytes[at])))
	}
	for ; at < length; at++ {
		storeU8(block+at, uint32(bytes[at]))
	}
	return block
}

// The body as the sender sent it.
func (body Body) text() string {
	if body.Text != nil {
		return *body.Text
	}
	if body.Base64 != nil {
		bytes, _ := base64.StdEncoding.DecodeString(*body.Base64)
		return string(bytes)
	}
	return ""
}
