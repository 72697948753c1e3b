package address

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseFile(t *testing.T) {
	got, err := ParseFile([]byte(` ["a:1", {"address": "unix:///run/x", "weight": 3, "zone": "z", "region": "r",
		"role": "leader", "tags": {"k": "v"}, "protocol": "grpc", "name": "n"}]
	`))
	want := []Endpoint{
		{Network: "tcp", Addr: "a:1"},
		{Network: "unix", Addr: "/run/x", Weight: 3, Zone: "z", Region: "r", Role: "leader", Tags: map[string]string{"k": "v"}, Protocol: "grpc", Name: "n"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err := ParseFile([]byte("[]")); err != nil || len(got) != 0 {
		t.Errorf("an empty list: got %v, %v", got, err)
	}
}

func TestParseFileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "line 1, column 1: want a list",
		"\n {}":                           "line 2, column 2: want a list",
		"null":                            "line 1, column 1: want a list",
		"nope":                            "line 1, column 1: want a list",
		"[\"a:1\",\n  \"b\"]":             `line 2, column 3: target "b": want host:port`,
		"[\"a:1\",\n  \"b:1\",\n 7]":      "line 3, column 2: want an address or an object, not number",
		"[\"a:1\"\n  \"b:1\"]":            `line 2, column 3: invalid character '"'`,
		"[\"a:1\",\n  {\"zone\": \"z\"}]": "line 2, column 3: target",
		"[\"a:1\",\n  {\"address\":\n \"b:1\", \"weigth\": 3}]": `line 3, column 9: field "weigth" is not known (have: address`,
		"[{\"address\": \"b:1\",\n \"weight\": -3}]":            `line 2, column 2: field "weight": want a uint32, not number -3`,
		"[{\"address\": \"b:1\",\n \"tags\": {\"a\": 1}}]":      `line 2, column 2: field "tags": want a string, not number`,
		"[\"a:1\",\n":                  "line 2, column 1: the list has no end",
		"[\"a:1\",\n\"b":               "line 2, column 3: the list has no end",
		"[\"a:1\"]\n\n x":              "line 3, column 2: invalid character 'x' after top-level value",
		"[\"a:1\",\n {\"address\" 1}]": "line 2, column 13: invalid character '1'",
		"[\n[\"a:1\"]]":                "line 2, column 1: want an address or an object, not array",
		"[null]":                       "line 1, column 2: target",
	} {
		if _, err := ParseFile([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	for _, seed := range []string{`["a:1",{"address":"b:1","weight":2}]`, "[\n]", `[{"address":"b:1",`, "\n\n{", `[1e999]`, `["a:1"],`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		endpoints, err := ParseFile(data)
		if err != nil && (endpoints != nil || !strings.HasPrefix(err.Error(), "line ")) {
			t.Errorf("got %v and %v", endpoints, err)
		}
		for _, e := range endpoints {
			if _, err := Parse(e.String()); err != nil {
				t.Errorf("%+v is not an endpoint: %v", e, err)
			}
		}
	})
}

// put replaces the file in one step, as users should.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.json")
	synctest.Test(t, func(t *testing.T) {
		source, err := Builtin().Resolve("file://" + filepath.ToSlash(path))
		if err != nil {
			t.Fatal(err)
		}
		w := watch(t, Keep(source, false))
		defer w.stop()
		step := 0
		expect := func(what string, updates int, want, wantErr string) {
			t.Helper()
			if step++; step == 1 {
				time.Sleep(DefaultFileInterval / 2) // never changes a file while it is looked at
			} else {
				time.Sleep(DefaultFileInterval)
			}
			synctest.Wait()
			n, got, err := w.last()
			if n != updates || got != want || wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
				t.Errorf("%s: got %d updates, %q, %v; want %d, %q, %q", what, n, got, err, updates, want, wantErr)
			}
		}
		expect("missing", 1, "", "no such file")
		expect("still missing", 1, "", "no such file")
		put(t, path, `["a:1", "b:1"]`)
		expect("written", 2, "a:1 b:1", "")
		expect("unchanged", 2, "a:1 b:1", "")
		put(t, path, "[\"a:1\",\n\"b:1\"")
		expect("broken", 3, "a:1 b:1", path+": line 2, column 6: the list has no end")
		expect("still broken", 3, "a:1 b:1", "no end")
		put(t, path, `["a:1", "b:1"]`)
		expect("mended", 4, "a:1 b:1", "")
		put(t, path, `[]`)
		expect("emptied", 5, "a:1 b:1", ErrNoEndpoints.Error())
		put(t, path, `["c:1"]`)
		expect("another list", 6, "c:1", "")
		if err := os.WriteFile(path, []byte(`["d:1"]`), 0o600); err != nil {
			t.Fatal(err)
		}
		expect("in place, of the same size", 7, "d:1", "")

		// Once the file's time is old enough to tell changes apart it alone counts.
		old := time.Now().Add(-time.Minute)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		expect("touched", 7, "d:1", "")
		time.Sleep(time.Minute)
		if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(`["e:1"]`), 0o600); err != nil {
			t.Fatal(err)
		}
		expect("changed after a while", 8, "e:1", "")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		expect("removed", 9, "e:1", "no such file")
	})
}

// TestFileTimes: a file is read unless it is the same one and its time is old and
// the same.
func TestFileTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	old, older := time.Now().Add(-time.Hour), time.Now().Add(-2*time.Hour)
	future := time.Now().Add(time.Hour) // as new as a file can be
	for name, test := range map[string]struct {
		before, after time.Time
		text          string
		rename, read  bool
	}{
		"nothing shows":         {old, old, "new", false, false},
		"another time":          {old, older, "new", false, true},
		"another size":          {old, old, "longer", false, true},
		"another file":          {old, old, "new", true, true},
		"too new to show":       {future, future, "new", false, true},
		"too new, but the same": {future, future, "old", false, false},
	} {
		write := func(text string, at time.Time) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		write("old", test.before)
		first := fileState{}.look(path)
		if test.rename {
			if err := os.Rename(path, path+".was"); err != nil { // its inode is not free
				t.Fatal(err)
			}
		}
		write(test.text, test.after)
		if next := first.look(path); next.changed(first) != test.read || test.read && string(next.data) != test.text {
			t.Errorf("%s: got %q, changed: %v; want %v", name, next.data, next.changed(first), test.read)
		}
	}
}
