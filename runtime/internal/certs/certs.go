// Package certs reads certificates from files, and again when the files change.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// interval is how often the files are looked at, at most.
const interval = time.Second

// Paths are where the PEM files are. Cert and Key go together; each of the two
// groups may be missing.
type Paths struct {
	Cert, Key string // this side's certificate, leaf first, and its private key
	CA        string // the certificates that the other side is verified with
}

// Material is what the files hold. It is never changed.
type Material struct {
	Certificate *tls.Certificate // nil without Cert
	Roots       *x509.CertPool   // nil without CA
}

// Files is what a set of files holds, as of at most a second ago. Its methods
// may be called concurrently.
type Files struct {
	paths   Paths
	log     *slog.Logger
	current atomic.Pointer[Material]
	checked atomic.Int64 // when the files were last looked at, in ns from start
	start   time.Time

	mu       sync.Mutex
	contents [3][]byte // as they were last read, good or not
	warning  string    // the last one
}

// Open reads the files. Its errors name the file. Later troubles with them are
// logged to log.
func Open(paths Paths, log *slog.Logger) (*Files, error) {
	if (paths.Cert == "") != (paths.Key == "") {
		return nil, fmt.Errorf("certificate file %q and key file %q: one does not go without the other", paths.Cert, paths.Key)
	}
	f := &Files{paths: paths, log: log, start: time.Now()}
	contents, err := paths.read()
	if err != nil {
		return nil, err
	}
	m, err := paths.parse(contents)
	if err != nil {
		return nil, err
	}
	f.contents = contents
	f.current.Store(m)
	return f, nil
}

// Current returns what the files hold, after looking whether they have changed
// unless that was done within the last second. If what they hold now is no good
// it returns what they held before, and a warning has been logged once.
func (f *Files) Current() *Material {
	now := time.Since(f.start)
	if now-time.Duration(f.checked.Load()) >= interval && f.mu.TryLock() {
		defer f.mu.Unlock()
		f.checked.Store(int64(now))
		f.refresh()
	}
	return f.current.Load()
}

func (f *Files) refresh() {
	contents, err := f.paths.read()
	if err != nil {
		f.warn(err)
		return
	}
	if slices.EqualFunc(contents[:], f.contents[:], slices.Equal) {
		return
	}
	f.contents = contents
	m, err := f.paths.parse(contents)
	if err != nil {
		f.warn(err)
		return
	}
	f.warning = ""
	f.current.Store(m)
	f.log.Info("certificates reloaded", "cert", f.paths.Cert, "ca", f.paths.CA)
}

// warn logs err unless that was the last thing to be logged.
func (f *Files) warn(err error) {
	if f.warning != err.Error() {
		f.warning = err.Error()
		f.log.Warn("certificates not reloaded, the old ones stay in use", "error", err)
	}
}

func (p Paths) read() (contents [3][]byte, err error) {
	for i, path := range []string{p.Cert, p.Key, p.CA} {
		if path == "" {
			continue
		}
		if contents[i], err = os.ReadFile(path); err != nil {
			return contents, err
		}
	}
	return contents, nil
}

func (p Paths) parse(contents [3][]byte) (*Material, error) {
	m := new(Material)
	if p.Cert != "" {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		if err != nil {
			return nil, fmt.Errorf("certificate file %s with key file %s: %w", p.Cert, p.Key, err)
		}
		m.Certificate = &pair
	}
	if p.CA != "" {
		var err error
		if m.Roots, err = roots(contents[2]); err != nil {
			return nil, fmt.Errorf("CA file %s: %w", p.CA, err)
		}
	}
	return m, nil
}

// roots makes a pool of all certificates in text. Unlike the pool's own method
// it fails if one of them is damaged, which may mean that the file is only half
// written.
func roots(text []byte) (*x509.CertPool, error) {
	pool, n := x509.NewCertPool(), 0
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", n, err)
		}
		pool.AddCert(cert)
	}
	if strings.Contains(string(text), "-----BEGIN") {
		return nil, fmt.Errorf("damaged or cut off after %d certificates", n)
	}
	if n == 0 {
		return nil, errors.New("no certificate in it")
	}
	return pool, nil
}
