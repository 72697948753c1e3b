package address

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// ParseRoutes returns the Routes in data, a JSON object with the fields of Routes in
// lower case with underscores:
//
//	{
//	  "local": {"zone": "a", "region": "eu"},
//	  "rules": [
//	    {"role": {"max_staleness": "2s"}},
//	    {"tags": {"tags": {"track": "canary"}, "percent": 5}, "fallback": "all"},
//	    {"zone": {}}
//	  ]
//	}
//
// A field that is not known is an error, as a rule that is misspelt must not be left out. The
// error begins with the line and the column of what is wrong. Whether the rules are
// valid is for Validate to say, when Local is what it has to be.
func ParseRoutes(data []byte) (Routes, error) { return parseObject[Routes](data) }

// ParseLanes returns the LanesConfig in data, otherwise like ParseRoutes:
//
//	{
//	  "rules": [{"lane": 2, "keys": ["acme"], "prefixes": ["test-"]}],
//	  "hot": {"lane": 1, "share": 0.01, "window": "10s"}
//	}
func ParseLanes(data []byte) (LanesConfig, error) { return parseObject[LanesConfig](data) }

func parseObject[T any](data []byte) (T, error) {
	var into, none T
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := decodeStrict(dec, &into); err != nil {
		return none, objectError(data, err)
	}
	if rest := bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return none, errorAt(data, len(data)-len(rest), errors.New("want nothing behind the object"))
	}
	return into, nil
}

func decodeStrict(dec *json.Decoder, into any) error {
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func objectError(data []byte, err error) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	var field fieldProblem
	switch {
	case errors.As(err, &syntax):
		return errorAt(data, int(syntax.Offset)-1, err)
	case errors.As(err, &wrong):
		return errorAt(data, int(wrong.Offset)-1, fmt.Errorf("%swant %s, not %s", fieldPrefix(wrong.Field), wanted(wrong.Type), wrong.Value))
	case errors.As(err, &field):
		return errorAt(data, bytes.Index(data, []byte(strconv.Quote(field.value))), err)
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		return errorAt(data, len(data), errors.New("the object has no end"))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return errorAt(data, bytes.Index(data, []byte(name)), fmt.Errorf("field %s is not known here", name))
	}
	return err
}

func fieldPrefix(field string) string {
	if field == "" {
		return ""
	}
	return field + ": "
}

// wanted returns what JSON calls values of the type.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a number"
}

// fieldProblem is a text that a field cannot be set to.
type fieldProblem struct{ field, value, want string }

func (p fieldProblem) Error() string {
	return fmt.Sprintf("%s: is %q, want %s", p.field, p.value, p.want)
}

// roleFields is the form of a RoleRule in JSON.
type roleFields struct {
	Leader       bool   `json:"leader,omitempty"`
	MaxStaleness string `json:"max_staleness,omitempty"`
	LagTag       string `json:"lag_tag,omitempty"`
	UnknownLag   bool   `json:"unknown_lag,omitempty"`
	LeaderKey    string `json:"leader_key,omitempty"`
}

// MarshalJSON returns the rule with MaxStaleness as text, as in "1.5s".
func (o RoleRule) MarshalJSON() ([]byte, error) {
	return json.Marshal(roleFields{o.Leader, durationText(o.MaxStaleness), o.LagTag, o.UnknownLag, o.LeaderKey})
}

// UnmarshalJSON sets the rule to what MarshalJSON returned. It fails for fields that it
// does not know.
func (o *RoleRule) UnmarshalJSON(data []byte) error {
	var f roleFields
	if err := decodeStrict(json.NewDecoder(bytes.NewReader(data)), &f); err != nil {
		return err
	}
	staleness, err := parseDuration("max_staleness", f.MaxStaleness)
	if err == nil {
		*o = RoleRule{f.Leader, staleness, f.LagTag, f.UnknownLag, f.LeaderKey}
	}
	return err
}

// hotFields is the form of HotKeys in JSON.
type hotFields struct {
	Lane   uint8   `json:"lane"`
	Share  float64 `json:"share"`
	Cool   float64 `json:"cool,omitempty"`
	Window string  `json:"window,omitempty"`
}

// MarshalJSON returns what keys are hot with Window as text, as in "10s".
func (c HotKeys) MarshalJSON() ([]byte, error) {
	return json.Marshal(hotFields{c.Lane, c.Share, c.Cool, durationText(c.Window)})
}

// UnmarshalJSON sets c to what MarshalJSON returned. It fails for fields that it does not know.
func (c *HotKeys) UnmarshalJSON(data []byte) error {
	var f hotFields
	if err := decodeStrict(json.NewDecoder(bytes.NewReader(data)), &f); err != nil {
		return err
	}
	window, err := parseDuration("window", f.Window)
	if err == nil {
		*c = HotKeys{f.Lane, f.Share, f.Cool, window}
	}
	return err
}

// durationText returns "" for no duration.
func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func parseDuration(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fieldProblem{field, text, "a duration as in \"1.5s\""}
	}
	return d, nil
}
