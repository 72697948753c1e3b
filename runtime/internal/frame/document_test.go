package frame

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/runtime/internal/frame/vectors"
)

func readDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var wireBlock = regexp.MustCompile("(?ms)^```wire (\\S+)\n(.*?)^```$")

// TestDocumentExamples compares each example in docs/protocol.md with the
// vector that its fence names.
func TestDocumentExamples(t *testing.T) {
	byName := map[string]vectors.Vector{}
	for _, v := range loadVectors(t) {
		byName[v.Name] = v
	}
	blocks := wireBlock.FindAllStringSubmatch(readDocument(t), -1)
	if len(blocks) < 15 {
		t.Fatalf("found %d examples, expected at least 15", len(blocks))
	}
	for _, block := range blocks {
		name := block[1]
		v, ok := byName[name]
		if !ok {
			t.Errorf("example %s: there is no such vector", name)
			continue
		}
		units, err := vectors.ParseHex(block[2])
		if err != nil {
			t.Errorf("example %s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(v.Units, units); diff != "" {
			t.Errorf("example %s differs from its vector (-vector +document):\n%s", name, diff)
		}
	}
}

// TestDocumentTables compares the document's tables of settings, types, flags
// and error codes with the code.
func TestDocumentTables(t *testing.T) {
	doc := readDocument(t)
	has := func(row string) {
		t.Helper()
		if !strings.Contains(doc, "\n"+row) {
			t.Errorf("docs/protocol.md has no row %q", row)
		}
	}
	for _, s := range settings {
		has(fmt.Sprintf("| %d | %s | %s to %s | %s | %s |", s.id, s.name,
			thousands(s.min), thousands(s.max), thousands(s.def), thousands(s.min)))
	}
	for typ, r := range rules {
		if r.name != "" {
			has(fmt.Sprintf("| 0x%02x | %s |", typ, r.name))
		}
	}
	for code, name := range errorCodeNames {
		has(fmt.Sprintf("| %d | %s |", code, name))
	}
	columns := []Type{TypeSettings, TypePing, TypeGoAway, TypeCredit, TypeOpen, TypeData, TypeClose, TypeCancel}
	for bit, name := range flagNames {
		row := fmt.Sprintf("| 0x%04x | %s |", 1<<bit, name)
		if bit == 0 {
			row = "| 0x0001 | HALF_CLOSE, ACK |"
		}
		for _, typ := range columns {
			switch {
			case rules[typ].flags&(1<<bit) == 0:
				row += " |"
			case bit == 0 && typ == TypePing:
				row += " ACK |"
			default:
				row += " yes |"
			}
		}
		has(row)
	}
}

// thousands is n with commas.
func thousands(n uint32) string {
	s := strconv.Itoa(int(n))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// TestDocumentLinks follows the links within the document.
func TestDocumentLinks(t *testing.T) {
	doc := readDocument(t)
	anchors := map[string]bool{}
	drop := regexp.MustCompile(`[^a-z0-9 _-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(doc, -1) {
		slug := drop.ReplaceAllString(strings.ToLower(m[1]), "")
		anchors[strings.ReplaceAll(slug, " ", "-")] = true
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(doc, -1) {
		if !anchors[m[1]] {
			t.Errorf("link to #%s leads nowhere", m[1])
		}
	}
}
