package frame

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// metadataBlock is md's section without its length.
func metadataBlock(t testing.TB, md metadata.MD) []byte {
	t.Helper()
	block, rest, ok := cut(AppendMetadata(nil, md))
	if !ok || len(rest) != 0 {
		t.Fatal("section is not a length and as many bytes")
	}
	return block
}

func TestMetadataRoundTrip(t *testing.T) {
	for _, md := range []metadata.MD{
		nil,
		metadata.Pairs("a", ""),
		metadata.Pairs("a", "1", "a", "2", "key-bin", "\x00\r\n\xff", "x_y.z-9", strings.Repeat("v", 300)),
	} {
		block := metadataBlock(t, md)
		if len(block) != md.Size() {
			t.Errorf("block has %d bytes, Size says %d", len(block), md.Size())
		}
		if err := CheckMetadata(block, len(block)); err != nil {
			t.Error(err)
		}
		got, err := ParseMetadata(block)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(md, got); diff != "" {
			t.Errorf("(-wrote +read):\n%s", diff)
		}
		if len(got) != cap(got) {
			t.Errorf("%d entries in room for %d", len(got), cap(got))
		}
	}
}

func TestMetadataReserved(t *testing.T) {
	block := metadataBlock(t, metadata.Pairs("rpcx-a", "1", "tenant", "acme", "rpcx-", "2"))
	got, err := ParseMetadata(block)
	if diff := cmp.Diff(metadata.Pairs("tenant", "acme"), got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if len(got) != cap(got) {
		t.Errorf("%d entries in room for %d", len(got), cap(got))
	}
}

// TestMetadataAgreesWithValidate: what one side may send the other accepts, and
// what it may not send is refused for the same reason.
func TestMetadataAgreesWithValidate(t *testing.T) {
	const limit = 200
	long := make(metadata.MD, metadata.MaxEntries+1)
	for i := range long {
		long[i] = metadata.Pair{Key: "k"}
	}
	for name, md := range map[string]metadata.MD{
		"fine": metadata.Pairs("k", "v"), "upper": {{Key: "K", Value: "v"}}, "empty key": {{}},
		"cr": metadata.Pairs("k", "\r"), "lf": metadata.Pairs("k", "a\n"), "nul": metadata.Pairs("k", "\x00"),
		"tab": metadata.Pairs("k", "\t\x0b\x0c\x01"), "binary": metadata.Pairs("k-bin", "\r\n\x00"),
		"fits": metadata.Pairs("k", strings.Repeat("v", limit-4)), "over": metadata.Pairs("k", strings.Repeat("v", limit-3)),
		"entries": long, "just": long[:metadata.MaxEntries],
	} {
		want := metadata.Validate(md, limit)
		got := CheckMetadata(metadataBlock(t, md), limit)
		var code status.Code
		if e, ok := errors.AsType[*CallError](got); ok {
			code = e.Code
		} else if got != nil {
			t.Errorf("%s: %v is no *CallError", name, got)
		}
		wantCode := status.OK
		switch {
		case errors.Is(want, metadata.ErrTooLarge):
			wantCode = status.ResourceExhausted
		case errors.Is(want, metadata.ErrInvalid):
			wantCode = status.InvalidArgument
		}
		if code != wantCode {
			t.Errorf("%s: CheckMetadata says %v, Validate %v", name, got, want)
		}
		if got != nil && strings.Contains(got.Error(), "vvv") {
			t.Errorf("%s: the error shows a value: %v", name, got)
		}
	}
}

// TestMetadataMalformedFirst: that the framing is broken counts more than a bad
// key before the break.
func TestMetadataMalformedFirst(t *testing.T) {
	err := CheckMetadata([]byte("\x01K\x01v\x05ab"), 100)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != ProtocolError {
		t.Errorf("error %v, want PROTOCOL", err)
	}
}

func TestMetadataAllocations(t *testing.T) {
	block := metadataBlock(t, metadata.Pairs("tenant", "acme", "trace-id", "0123456789abcdef", "tag", "a"))
	if n := testing.AllocsPerRun(100, func() { _ = CheckMetadata(block, 8<<10) }); n != 0 {
		t.Errorf("CheckMetadata allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = ParseMetadata(block) }); n != 2 {
		t.Errorf("ParseMetadata allocates %v times, want 2", n)
	}
}
