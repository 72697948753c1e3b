// Package wire is what generated serialization glue calls: small functions that
// size, put and parse the parts of a protobuf message. It depends on nothing
// but the standard library.
//
// Users call the methods that the glue gives to messages, or [MarshalOptions]
// and [UnmarshalOptions] for more choice. The rest is for generated code: its
// arguments are not checked beyond what its doc comments promise.
//
// # Sizing and putting
//
// A message is put from its end to its beginning into a [Buffer]: so the length
// of a nested message is known when it is written, and no size is computed
// twice, or at all where there is room enough. Without room, putting only counts
// what is missing. It may panic if the message is changed meanwhile.
//
// # Parsing
//
// A parsing function takes a value that begins at b[i], and returns it and the
// index behind it, or a negative index that says what is wrong. Indices that are
// passed in are never negative, unless a doc comment says so. Nothing is
// allocated for a declared length before as many bytes are known to be there.
//
// # Who owns what
//
// Parsed text and bytes are copies unless the caller asks for aliases
// ([UnmarshalOptions.Alias]). Then the message refers to the input, which must
// not be changed as long as anything of the message is in use. So that a kept
// piece of a message does not keep much more than itself alive, input of more
// than 16 KiB is aliased only by values of half its length, rounded up to a power
// of two, or more; smaller ones are copied. Repeated messages are allocated together up to 16 KiB.
package wire
