package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// status is what the server says instead of what was asked for.
type status struct {
	Message string `json:"message"`
	Code    int    `json:"code"`
}

// event is one of a watch.
type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// watcher is one Watch of a source.
type watcher struct {
	*source
	update func(address.Update)
	known  *sliceSet
	// version is from where a watch goes on, "" if there has to be a list first.
	version string
	told    bool   // whether update has been told what is known
	skipped string // as it was reported last
}

// Watch implements address.Source. It lists the slices and watches what becomes of
// them from then on. A watch that ends goes on from where it was, without another
// list, unless the server does not know that any more (410).
func (s *source) Watch(ctx context.Context, update func(address.Update)) {
	defer s.http.CloseIdleConnections()
	w := &watcher{source: s, update: update}
	pause := pauses{first: s.config.first}
	for {
		began := time.Now()
		open, err := w.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if gone(err) && w.version != "" {
			w.version = "" // a list mends it
		} else if err != nil {
			w.told = false
			update(address.Update{Err: fmt.Errorf("target %q: %w", s.target, err)})
		}
		if open && time.Since(began) > pause.next {
			pause.next = 0
		}
		if !pause.wait(ctx, err) {
			return
		}
	}
}

// follow lists, if it has to, and watches until the watch ends. It reports whether
// there was one, and returns an error if the server could not be asked: that a
// watch ends is none.
func (w *watcher) follow(ctx context.Context) (open bool, err error) {
	if w.version == "" {
		if err := w.list(ctx); err != nil {
			return false, w.because("listing", err)
		}
		w.tell()
	}
	// Until the answer begins the request has the time of any other.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seconds := int((w.config.Watch + rand.N(w.config.Watch)) / time.Second)
	length := time.Duration(max(seconds, 1)) * time.Second
	late := time.AfterFunc(length+timeout, cancel)
	defer late.Stop()
	query := w.query()
	query.Set("watch", "true")
	query.Set("allowWatchBookmarks", "true")
	query.Set("resourceVersion", w.version)
	query.Set("timeoutSeconds", strconv.Itoa(max(seconds, 1)))
	body, err := w.get(ctx, w.path(), query)
	if err != nil {
		return false, w.because("watching", err)
	}
	defer body.Close()
	if !w.told {
		w.tell()
	}
	err = w.events(body)
	var refused *refusal
	if !errors.As(err, &refused) {
		return true, nil
	}
	if !gone(err) {
		w.version = "" // what it does not say may have happened
	}
	return true, w.because("watching", err)
}

// events takes what a watch tells until it ends.
func (w *watcher) events(body io.Reader) error {
	limited := newBounded(body, w.config.MaxAnswer)
	dec := json.NewDecoder(limited)
	for {
		var e event
		if err := dec.Decode(&e); err != nil {
			var syntax *json.SyntaxError
			var kind *json.UnmarshalTypeError
			if limited.left <= 0 || errors.As(err, &syntax) || errors.As(err, &kind) {
				w.version = "" // where it would go on it would fail again
				w.report(fmt.Errorf("watching: %w", err))
			}
			return err
		}
		limited.reset()
		switch e.Type {
		case "ERROR":
			var s status
			if err := json.Unmarshal(e.Object, &s); err != nil || s.Code == 0 {
				s.Code = 500
			}
			return &refusal{code: s.Code, message: s.Message[:min(len(s.Message), maxErrorText)]}
		case "BOOKMARK", "ADDED", "MODIFIED", "DELETED":
			if w.take(e) {
				w.tell()
			}
		}
	}
}

// take takes over an event and reports whether the endpoints may have changed.
func (w *watcher) take(e event) bool {
	var m struct {
		Metadata meta `json:"metadata"`
	}
	err := json.Unmarshal(e.Object, &m)
	if err == nil && m.Metadata.ResourceVersion == "" {
		err = errNoVersion
	}
	if err != nil {
		w.report(fmt.Errorf("an event %s is broken and skipped: %w", e.Type, err))
		return false
	}
	w.version = m.Metadata.ResourceVersion
	switch e.Type {
	case "BOOKMARK":
		return false
	case "DELETED":
		delete(w.known.all, m.Metadata.Name)
		return true
	}
	if err := w.known.put(e.Object); err != nil {
		w.report(err)
		return false // what is known of the slice stays
	}
	return true
}

var errNoVersion = errors.New("it has no resourceVersion")

// list replaces what is known by what the server has, page by page.
func (w *watcher) list(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*timeout)
	defer cancel()
	found := newSliceSet()
	query := w.query()
	query.Set("limit", strconv.Itoa(w.config.Page))
	for {
		version, next, err := w.page(ctx, query, found)
		if gone(err) && query.Has("continue") {
			// The other pages are too old by now: all at once, then.
			found, query = newSliceSet(), w.query()
			continue
		}
		if err != nil {
			return err
		}
		if next == "" {
			if version == "" {
				return errNoVersion
			}
			w.known, w.version = found, version
			return nil
		}
		query.Set("continue", next)
	}
}

// page reads one page into found, and returns the version of the list and where it goes on.
func (w *watcher) page(ctx context.Context, query url.Values, found *sliceSet) (version, next string, err error) {
	body, err := w.get(ctx, w.path(), query)
	if err != nil {
		return "", "", err
	}
	defer body.Close()
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
			Continue        string `json:"continue"`
		} `json:"metadata"`
		Items []json.RawMessage `json:"items"`
	}
	if err := json.NewDecoder(newBounded(body, w.config.MaxAnswer)).Decode(&list); err != nil {
		return "", "", err
	}
	if list.Metadata.Continue != "" && len(list.Items) == 0 {
		return "", "", errors.New("a page is empty and not the last one")
	}
	for _, item := range list.Items {
		if err := found.put(item); errors.Is(err, errTooMany) {
			return "", "", err
		} else if err != nil {
			w.report(err)
		}
	}
	return list.Metadata.ResourceVersion, list.Metadata.Continue, nil
}

// tell calls update with what is known.
func (w *watcher) tell() {
	w.told = true
	endpoints, skipped, err := w.endpoints(w.known)
	if text := fmt.Sprint(skipped); text != w.skipped {
		if w.skipped = text; skipped != nil {
			w.report(skipped)
		}
	}
	if err != nil {
		err = fmt.Errorf("target %q: %w", w.target, w.because("listing", err))
	}
	w.update(address.Update{Endpoints: endpoints, Err: err})
}

func (w *watcher) report(err error) {
	w.config.OnError(fmt.Errorf("target %q: server %s: %w", w.target, w.server, err))
}

// because says what was asked of whom.
func (s *source) because(doing string, err error) error {
	return fmt.Errorf("%s endpointslices of %s.%s: server %s: %w", doing, s.service, s.namespace, s.server, err)
}

func (s *source) path() string {
	return "/apis/discovery.k8s.io/v1/namespaces/" + s.namespace + "/endpointslices"
}

func (s *source) query() url.Values {
	return url.Values{"labelSelector": {"kubernetes.io/service-name=" + s.service}}
}
