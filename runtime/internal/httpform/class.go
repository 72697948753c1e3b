package httpform

import (
	"fmt"
	"strconv"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/call"
)

// Headers of requests that carry a class. They are left out where they are zero.
const (
	priorityKey = "Rpcx-Priority"
	laneKey     = "Rpcx-Lane"
	attemptKey  = "Rpcx-Attempt"
)

// routeKey is the header with the hash of a call's route key, by which a proxy may
// choose a server.
const routeKey = "Rpcx-Route"

// AddRoute adds the hash of the route key to the headers of a request.
func AddRoute(h *connect.Header, hash uint64) { h.Set(routeKey, fmt.Sprintf("%016x", hash)) }

// AddClass adds c to the headers of a request.
func AddClass(h *connect.Header, c call.Class) {
	add := func(key string, v uint8) {
		if v > 0 {
			h.Set(key, strconv.Itoa(int(v)))
		}
	}
	add(priorityKey, c.Priority)
	add(laneKey, c.Lane)
	add(attemptKey, c.Attempt)
}

// ClassOf returns the class that the headers of a request carry. Its errors name
// the header.
func ClassOf(h *connect.Header) (c call.Class, err error) {
	read := func(key string, largest uint8, saturates bool) uint8 {
		values := h.Values(key)
		if len(values) == 0 {
			return 0
		}
		n, bad := strconv.ParseUint(values[0], 10, 32)
		if len(values) > 1 || bad != nil || n > uint64(largest) && !saturates {
			if err == nil {
				err = fmt.Errorf("header %s: want one number from 0 to %d", key, largest)
			}
			return 0
		}
		return uint8(min(n, uint64(largest)))
	}
	c.Priority = read(priorityKey, call.MaxPriority, false)
	c.Lane = read(laneKey, call.MaxLane, false)
	c.Attempt = read(attemptKey, call.MaxAttempt, true)
	return c, err
}
