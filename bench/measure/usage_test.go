package measure

import (
	"os"
	"testing"
)

func TestUsageCountsSystemCalls(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	before := Now()
	const n = 100
	buf := make([]byte, 1)
	for range n {
		if _, err := w.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	spent := Now().Since(before)
	if _, err := os.Stat("/proc/self/io"); err != nil {
		return // the system does not tell
	}
	if spent.Reads < n || spent.Writes < n || spent.Reads > 2*n || spent.Writes > 2*n {
		t.Errorf("%d reads and %d writes, want %d of each and little more", spent.Reads, spent.Writes, n)
	}
}
