//go:build !protolegacy

package plugin

// protolegacy says that descriptors of messages in the format of MessageSet can be made.
const protolegacy = false
