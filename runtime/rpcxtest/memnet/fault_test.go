package memnet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// recordingConn remembers the sizes of the writes that reach it.
type recordingConn struct {
	*Conn
	writes []int
}

func (c *recordingConn) Write(p []byte) (int, error) {
	c.writes = append(c.writes, len(p))
	return c.Conn.Write(p)
}

func TestSplit(t *testing.T) {
	a, b := Pipe()
	defer b.Close()
	rec := &recordingConn{Conn: a}
	f := NewFault(rec,
		Step{In: Outbound, After: 2, Do: Split(3)},
		Step{In: Outbound, After: 9, Do: Split(0)},
		Step{In: Inbound, After: 1, Do: Split(2)})
	defer f.Close()
	if n, err := io.WriteString(f, "0123456789abcdef"); n != 16 || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if want := []int{2, 3, 3, 1, 7}; !slices.Equal(rec.writes, want) {
		t.Errorf("writes of %v bytes, want %v", rec.writes, want)
	}
	got := make([]byte, 16)
	if _, err := io.ReadFull(b, got); err != nil || string(got) != "0123456789abcdef" {
		t.Errorf("read %q, %v", got, err)
	}

	write(t, b, "012345")
	var reads []int
	for sum := 0; sum < 6; {
		n, err := f.Read(make([]byte, 16))
		if err != nil {
			t.Fatal(err)
		}
		reads = append(reads, n)
		sum += n
	}
	if want := []int{1, 2, 2, 1}; !slices.Equal(reads, want) {
		t.Errorf("reads of %v bytes, want %v", reads, want)
	}
}

func TestFlipBit(t *testing.T) {
	a, b := Pipe()
	defer b.Close()
	f := NewFault(a,
		Step{In: Outbound, After: 3, Do: FlipBit(0)},
		Step{In: Outbound, After: 5, Do: FlipBit(15)},
		Step{In: Inbound, After: 1, Every: 3, Do: FlipBit(1)})
	defer f.Close()
	sent := make([]byte, 8)
	write(t, f, string(sent[:4]))
	write(t, f, string(sent[4:]))
	got := make([]byte, 8)
	fill(t, b, got)
	if want := []byte{0, 0, 0, 1, 0, 0x80, 0, 0}; !bytes.Equal(got, want) {
		t.Errorf("peer read %x, want %x", got, want)
	}
	if !bytes.Equal(sent, make([]byte, 8)) {
		t.Errorf("the writer's buffer became %x", sent)
	}
	write(t, b, string(make([]byte, 8)))
	fill(t, f, got[:3])
	fill(t, f, got[3:])
	if want := []byte{0, 2, 0, 0, 2, 0, 0, 2}; !bytes.Equal(got, want) {
		t.Errorf("read %x, want %x", got, want)
	}
	// A step added behind its place still repeats in step with it.
	f.Add(Step{In: Outbound, After: 0, Every: 5, Do: FlipBit(2)})
	write(t, f, string(make([]byte, 8)))
	fill(t, b, got)
	if want := []byte{0, 0, 4, 0, 0, 0, 0, 4}; !bytes.Equal(got, want) {
		t.Errorf("peer read %x, want %x", got, want)
	}
}

func TestFIN(t *testing.T) {
	a, b := Pipe()
	defer b.Close()
	f := NewFault(a, Step{In: Outbound, After: 4, Do: FIN()}, Step{In: Inbound, After: 2, Do: FIN()})
	defer f.Close()
	if n, err := io.WriteString(f, "012345"); n != 4 || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("wrote %d, %v; want 4 and EPIPE", n, err)
	}
	if got, err := io.ReadAll(b); err != nil || string(got) != "0123" {
		t.Errorf("peer read %q, %v", got, err)
	}
	write(t, b, "abcd")
	if got, err := io.ReadAll(f); err != nil || string(got) != "ab" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestFINWithoutHalfClose(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	f := NewFault(a, Step{In: Outbound, Do: FIN()})
	defer f.Close()
	if _, err := f.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Write: %v, want EPIPE", err)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("peer's Read: %v, want EOF", err)
	}
}

func TestRST(t *testing.T) {
	for _, in := range []Direction{Outbound, Inbound} {
		t.Run(in.String(), func(t *testing.T) {
			a, b := Pipe()
			defer b.Close()
			f := NewFault(a, Step{In: in, After: 2, Do: RST()})
			write(t, b, "abcd")
			if in == Outbound {
				if n, err := io.WriteString(f, "0123"); n != 2 || !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("wrote %d, %v; want 2 and ECONNRESET", n, err)
				}
			} else if got, err := io.ReadAll(f); string(got) != "ab" || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read %q, %v; want ab and ECONNRESET", got, err)
			}
			if got, err := io.ReadAll(b); len(got) != 0 || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("peer read %q, %v; want ECONNRESET", got, err)
			}
			_, readErr := f.Read(make([]byte, 1))
			_, writeErr := f.Write([]byte("x"))
			if !errors.Is(readErr, syscall.ECONNRESET) || !errors.Is(writeErr, syscall.ECONNRESET) {
				t.Errorf("afterwards: %v, %v; want ECONNRESET", readErr, writeErr)
			}
			if err := f.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

func TestResetOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	NewFault(NewFault(c)).Reset()
	if _, err := peer.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("peer's Read: %v, want a reset", err)
	}
}

func TestResetEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		defer b.Close()
		f := NewFault(a, Step{In: Outbound, Do: Stall()})
		failed := make(chan error, 2)
		go func() { _, err := f.Read(make([]byte, 1)); failed <- err }()
		go func() { _, err := f.Write([]byte("x")); failed <- err }()
		synctest.Wait()
		f.Reset()
		for range 2 {
			if err := <-failed; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%v, want ECONNRESET", err)
			}
		}
		f.Close()
	})
}

func TestStallAndHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		defer b.Close()
		f := NewFault(a, Step{In: Outbound, After: 2, Do: Stall()})
		defer f.Close()
		ok(t, f.SetWriteDeadline(time.Now().Add(time.Second)))
		if n, err := io.WriteString(f, "0123"); n != 2 || !timeout(err) {
			t.Errorf("wrote %d, %v; want 2 and a timeout", n, err)
		}
		ok(t, f.SetWriteDeadline(time.Time{}))

		// The other direction goes on.
		write(t, b, "x")
		if _, err := io.ReadFull(f, make([]byte, 1)); err != nil {
			t.Error(err)
		}

		// A stall that begins while Read waits holds for what arrives then, and
		// a deadline that ends the wait loses none of it.
		read := make(chan string)
		next := func() {
			p := make([]byte, 4)
			n, err := f.Read(p)
			read <- fmt.Sprintf("%s %v", p[:n], err == nil)
		}
		go next()
		synctest.Wait()
		f.Add(Step{In: Inbound, Do: Stall()})
		write(t, b, "late")
		ok(t, f.SetReadDeadline(time.Now().Add(time.Second)))
		if got := <-read; got != " false" {
			t.Errorf("stalled Read returned %q", got)
		}
		ok(t, f.SetReadDeadline(time.Time{}))
		go next()
		synctest.Wait()
		f.Heal()
		if got := <-read; got != "late true" {
			t.Errorf("Read after Heal returned %q", got)
		}
		if n, err := io.WriteString(f, "23"); n != 2 || err != nil {
			t.Errorf("wrote %d, %v after Heal", n, err)
		}
	})
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		defer b.Close()
		f := NewFault(a,
			Step{In: Outbound, After: 2, Every: 2, Do: Delay(time.Second)},
			Step{In: Inbound, After: 1, Do: Delay(time.Minute)})
		start := time.Now()
		if n, err := io.WriteString(f, "0123456"); n != 7 || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("writing 7 bytes took %v, want a second before the bytes 2, 4 and 6", took)
		}
		write(t, b, "ab")
		start = time.Now()
		if _, err := io.ReadFull(f, make([]byte, 2)); err != nil || time.Since(start) != time.Minute {
			t.Errorf("reading took %v, %v", time.Since(start), err)
		}
		f.Add(Step{In: Inbound, Do: Delay(time.Hour)})
		start = time.Now()
		time.AfterFunc(time.Second, func() { f.Close() })
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || time.Since(start) != time.Second {
			t.Errorf("Read: %v after %v; want Close to end the delay", err, time.Since(start))
		}
	})
}

func TestLateStepsHappenOnce(t *testing.T) {
	a, b := Pipe()
	defer b.Close()
	f := NewFault(a)
	defer f.Close()
	write(t, f, "0123456789")
	f.Add(Step{In: Outbound, After: 3, Every: 4, Do: Split(1)})
	if got := f.lanes[Outbound].steps; len(got) != 1 {
		t.Fatalf("steps: %v", got)
	}
	write(t, f, "x")
	if got := f.lanes[Outbound].steps; len(got) != 1 || got[0].After != 11 {
		t.Errorf("next step at %v, want one at 11", got)
	}
	if f.Offset(Outbound) != 11 || f.Offset(Inbound) != 0 {
		t.Errorf("offsets are %d and %d", f.Offset(Outbound), f.Offset(Inbound))
	}
}

// TestRandomStepsKeepData checks that scripts that neither break nor corrupt
// deliver everything in order, in both directions at once.
func TestRandomStepsKeepData(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			script := RandomScript{Steps: 30, Within: 20_000, MaxDelay: time.Second}
			steps := RandomSteps(seed, script)
			if again := RandomSteps(seed, script); !slices.Equal(steps, again) {
				t.Fatalf("seed %d gives different scripts", seed)
			}
			a, b := connect(t, &Network{Buffer: 1000})
			f := NewFault(a, steps...)
			defer f.Close()
			done := make(chan error)
			go func() { done <- exchange(f, f.CloseWrite, seed) }()
			go func() { done <- exchange(b, b.(*Conn).CloseWrite, seed) }()
			for range 2 {
				if err := <-done; err != nil {
					t.Errorf("seed %d: %v\n%s", seed, err, FormatSteps(steps))
				}
			}
		})
	}
}

// exchange writes random pieces to c and checks that the same ones arrive.
func exchange(c io.ReadWriter, closeWrite func() error, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 1))
	data := make([]byte, 20_000)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	sent := make(chan error)
	go func() {
		for p := data; len(p) > 0; {
			n := min(len(p), 1+r.IntN(3000))
			if _, err := c.Write(p[:n]); err != nil {
				sent <- err
				return
			}
			p = p[n:]
		}
		sent <- closeWrite()
	}()
	got, err := io.ReadAll(c)
	if err == nil && !bytes.Equal(got, data) {
		err = fmt.Errorf("%d bytes arrived, not the %d that were sent", len(got), len(data))
	}
	return errors.Join(err, <-sent)
}

func TestRandomStepsDrawsAllKinds(t *testing.T) {
	seen := map[kind]bool{}
	for seed := range uint64(20) {
		for _, s := range RandomSteps(seed, RandomScript{MaxDelay: 1, Flips: true, Breaks: true}) {
			seen[s.Do.kind] = true
			if s.After < 0 || s.After >= DefaultBuffer {
				t.Errorf("step out of range: %v", s)
			}
		}
	}
	if len(seen) != int(kindDelay)+1 {
		t.Errorf("kinds drawn: %v", seen)
	}
}

func TestStepString(t *testing.T) {
	got := FormatSteps([]Step{
		{In: Outbound, After: 100, Do: RST()},
		{In: Inbound, After: 3, Every: 10, Do: FlipBit(9)},
		{Do: FIN()}, {Do: Stall()}, {Do: Split(4)}, {Do: Delay(time.Second)},
	})
	const want = `outbound after 100: RST()
inbound after 3 and every 10: FlipBit(1)
outbound after 0: FIN()
outbound after 0: Stall()
outbound after 0: Split(4)
outbound after 0: Delay(1s)
`
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}
