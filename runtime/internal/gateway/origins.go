package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
)

// CORS says which pages of other origins may call.
type CORS struct {
	// Origins are the origins whose pages may call, such as
	// "https://app.example.com". "*" lets all call, without credentials.
	Origins []string
	// Credentials lets pages send cookies; it has no effect on "*".
	Credentials bool
	// Headers are the names of response metadata that pages may read, beside
	// those of the protocols.
	Headers []string
	// MaxAge is how long a browser may keep the permission.
	MaxAge time.Duration
}

// origins decides which pages may call.
type origins struct {
	cors     *CORS
	any      bool
	cross    *http.CrossOriginProtection
	expose   string
	duration string
}

func newOrigins(cors *CORS) *origins {
	o := &origins{cors: cors, cross: http.NewCrossOriginProtection()}
	if cors == nil {
		return o
	}
	o.any = slices.Contains(cors.Origins, "*")
	o.expose = strings.Join(append([]string{"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin", httpform.NotRunKey, httpform.PushBackKey}, cors.Headers...), ", ")
	o.duration = strconv.Itoa(int(cors.MaxAge / time.Second))
	return o
}

// trusts reports whether pages of the origin that a request names may call.
func (o *origins) trusts(origin string) bool {
	return o.cors != nil && origin != "" && (o.any || slices.Contains(o.cors.Origins, origin))
}

// check returns why a request is refused that a page of another origin has had a
// browser send. Those that only read are no exception.
func (o *origins) check(r *http.Request) error {
	if o.trusts(r.Header.Get("Origin")) {
		return nil
	}
	asPost := *r
	asPost.Method = http.MethodPost
	return o.cross.Check(&asPost)
}

// allow lets the page that has had a request sent read the answer.
func (o *origins) allow(w http.ResponseWriter, r *http.Request) {
	if o.cors == nil {
		return
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !o.trusts(origin) {
		return
	}
	o.name(h, origin)
	h.Set("Access-Control-Expose-Headers", o.expose)
}

func (o *origins) name(h http.Header, origin string) {
	if !slices.Contains(o.cors.Origins, origin) {
		h.Set("Access-Control-Allow-Origin", "*")
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if o.cors.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight answers the question of a browser whether a page may call, and
// reports whether r was one.
func (o *origins) preflight(w http.ResponseWriter, r *http.Request) bool {
	if o.cors == nil || r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h := w.Header()
	h["Vary"] = []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}
	if origin := r.Header.Get("Origin"); o.trusts(origin) {
		o.name(h, origin)
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		if asked := r.Header.Values("Access-Control-Request-Headers"); len(asked) > 0 {
			h.Set("Access-Control-Allow-Headers", strings.Join(asked, ", "))
		}
		if o.cors.MaxAge > 0 {
			h.Set("Access-Control-Max-Age", o.duration)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}
