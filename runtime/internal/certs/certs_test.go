package certs_test

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/internal/certs"
	"github.com/rpcx-go/rpcx/runtime/internal/certs/certstest"
	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Buffers(m)) }

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	ca := certstest.NewCA(t, "ca")
	cert, key := ca.Issue(t, certstest.Leaf{})
	_, other := ca.Issue(t, certstest.Leaf{})
	write := func(name string, content []byte) string { return certstest.Write(t, dir, name, content) }
	good := certs.Paths{Cert: write("cert", cert), Key: write("key", key), CA: write("ca", ca.PEM)}
	if _, err := certs.Open(good, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(p *certs.Paths)
		want   []string
	}{
		"no certificate file":     {func(p *certs.Paths) { p.Cert = filepath.Join(dir, "none.pem") }, []string{"none.pem", "no such file"}},
		"no key file":             {func(p *certs.Paths) { p.Key = filepath.Join(dir, "none.pem") }, []string{"none.pem", "no such file"}},
		"no CA file":              {func(p *certs.Paths) { p.CA = filepath.Join(dir, "none.pem") }, []string{"none.pem", "no such file"}},
		"certificate without key": {func(p *certs.Paths) { p.Key = "" }, []string{p(good.Cert), "one does not go without the other"}},
		"key without certificate": {func(p *certs.Paths) { p.Cert = "" }, []string{p(good.Key), "one does not go without the other"}},
		"key of another one":      {func(p *certs.Paths) { p.Key = write("other", other) }, []string{"/cert", "/other", "does not match"}},
		"certificate not PEM":     {func(p *certs.Paths) { p.Cert = write("text", []byte("hello")) }, []string{"/text", "PEM"}},
		"empty CA":                {func(p *certs.Paths) { p.CA = write("empty", nil) }, []string{"/empty", "no certificate"}},
		"CA cut off": {func(p *certs.Paths) { p.CA = write("cut", append(ca.PEM[:len(ca.PEM):len(ca.PEM)], ca.PEM[:200]...)) },
			[]string{"/cut", "cut off after 1 certificates"}},
		"CA damaged": {func(p *certs.Paths) {
			p.CA = write("damaged", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
		}, []string{"/damaged", "certificate 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			paths := good
			test.change(&paths)
			_, err := certs.Open(paths, slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
		})
	}
}

func p(s string) string { return filepath.Base(s) }

// logs returns a logger and what it has logged.
func logs() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

func name(m *certs.Material) string { return m.Certificate.Leaf.Subject.CommonName }

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := certstest.NewCA(t, "ca")
		put := func(leaf string) {
			cert, key := ca.Issue(t, certstest.Leaf{Name: leaf})
			certstest.Write(t, dir, "cert", cert)
			certstest.Write(t, dir, "key", key)
		}
		put("one")
		log, logged := logs()
		f, err := certs.Open(certs.Paths{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}, log)
		if err != nil {
			t.Fatal(err)
		}
		wantName := func(when, want string) {
			t.Helper()
			if got := name(f.Current()); got != want {
				t.Errorf("%s: got certificate %q, want %q", when, got, want)
			}
		}
		wantName("at first", "one")
		put("two")
		wantName("within the second", "one")
		time.Sleep(time.Second)
		wantName("after it", "two")
		time.Sleep(time.Hour)
		if before := f.Current(); f.Current() != before || strings.Count(logged.String(), "certificates reloaded") != 1 {
			t.Errorf("unchanged files were read anew:\n%s", logged)
		}

		logged.Reset()
		cert, _ := ca.Issue(t, certstest.Leaf{Name: "three"})
		certstest.Write(t, dir, "cert", cert)
		for range 5 {
			time.Sleep(time.Second)
			wantName("with the key of another one", "two")
		}
		if got := logged.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "does not match") {
			t.Errorf("got log %q, want one warning", got)
		}
		logged.Reset()
		if err := os.Remove(filepath.Join(dir, "key")); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			time.Sleep(time.Second)
			wantName("without a key", "two")
		}
		if got := logged.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "no such file") {
			t.Errorf("got log %q, want one warning", got)
		}
		put("four")
		time.Sleep(time.Second)
		wantName("in the end", "four")
	})
}

func TestReloadRoots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		old, next := certstest.NewCA(t, "old"), certstest.NewCA(t, "next")
		path := certstest.Write(t, dir, "ca", old.PEM)
		f, err := certs.Open(certs.Paths{CA: path}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		trusts := func(ca *certstest.CA) bool {
			pair := ca.Pair(t, certstest.Leaf{})
			_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: f.Current().Roots})
			return err == nil
		}
		if !trusts(old) || trusts(next) || f.Current().Certificate != nil {
			t.Error("want to trust the old CA only")
		}
		certstest.Write(t, dir, "ca", append(old.PEM[:len(old.PEM):len(old.PEM)], next.PEM...))
		time.Sleep(time.Second)
		if !trusts(old) || !trusts(next) {
			t.Error("want to trust both")
		}
		certstest.Write(t, dir, "ca", next.PEM)
		time.Sleep(time.Second)
		if trusts(old) || !trusts(next) {
			t.Error("want to trust the next CA only")
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := certstest.NewCA(t, "ca")
		cert, key := ca.Issue(t, certstest.Leaf{Name: "one"})
		f, err := certs.Open(certs.Paths{Cert: certstest.Write(t, dir, "cert", cert), Key: certstest.Write(t, dir, "key", key)}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					if name(f.Current()) != "one" {
						t.Error("got another certificate")
					}
					time.Sleep(300 * time.Millisecond)
				}
			})
		}
		wg.Wait()
	})
}
