package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	miekg "github.com/miekg/dns"
)

// udpSize is how large an answer over UDP may be: what passes nearly every
// network in one piece.
const udpSize = 1232

// exchanger asks a server a question. The answer belongs to it.
type exchanger func(ctx context.Context, server string, q *miekg.Msg) (*miekg.Msg, error)

// network asks over UDP, and over TCP when the answer is too large for that.
type network struct{ timeout time.Duration }

func (n network) exchange(ctx context.Context, server string, q *miekg.Msg) (*miekg.Msg, error) {
	m, err := n.over(ctx, "udp", server, q)
	if err == nil && m.Truncated {
		if m, err = n.over(ctx, "tcp", server, q); err == nil && m.Truncated {
			err = errors.New("the answer is truncated over TCP, too")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("server %s: %w", server, err)
	}
	return m, nil
}

func (n network) over(ctx context.Context, proto, server string, q *miekg.Msg) (*miekg.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	packed, err := q.Pack()
	if err != nil {
		return nil, err
	}
	// A socket of its own has a port that others cannot foresee.
	conn, err := new(net.Dialer).DialContext(ctx, proto, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	ask := overUDP
	if proto == "tcp" {
		ask = overTCP
	}
	m, err := ask(conn, packed, q)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w (%w)", proto, ctx.Err(), err)
	}
	return m, err
}

// overUDP waits for the answer and passes over what is not: it may be late, or forged.
func overUDP(conn net.Conn, packed []byte, q *miekg.Msg) (*miekg.Msg, error) {
	if _, err := conn.Write(packed); err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	var wrong error
	for {
		n, err := conn.Read(buf)
		if err != nil && wrong != nil {
			err = fmt.Errorf("%w; %w", err, wrong)
		}
		if err != nil {
			return nil, err
		}
		m, err := parse(buf[:n], q)
		if err == nil {
			return m, nil
		}
		wrong = fmt.Errorf("what came is not the answer: %w", err)
	}
}

func overTCP(conn net.Conn, packed []byte, q *miekg.Msg) (*miekg.Msg, error) {
	packed = append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	if _, err := conn.Write(packed); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, err
	}
	return parse(buf, q)
}

// parse returns the message if it is the answer to q.
func parse(data []byte, q *miekg.Msg) (*miekg.Msg, error) {
	m := new(miekg.Msg)
	broken := m.Unpack(data)
	asked := q.Question[0]
	switch {
	case len(data) < 12:
		return nil, fmt.Errorf("%d bytes are too few", len(data))
	case m.Id != q.Id:
		return nil, fmt.Errorf("its id is %d, want %d", m.Id, q.Id)
	case !m.Response || m.Opcode != miekg.OpcodeQuery:
		return nil, errors.New("it is not an answer")
	case len(m.Question) == 0 && failure(m.Rcode):
		return m, nil // some servers refuse by a header alone
	case len(m.Question) != 1 || !sameName(m.Question[0].Name, asked.Name) ||
		m.Question[0].Qtype != asked.Qtype || m.Question[0].Qclass != asked.Qclass:
		return nil, fmt.Errorf("it answers another question, or %d of them, want %s", len(m.Question), asked.String())
	case broken != nil && !m.Truncated: // one that is cut short may be cut anywhere
		return nil, broken
	}
	return m, nil
}

// failure reports whether the code says nothing of the name that was asked for.
func failure(rcode int) bool { return rcode != miekg.RcodeSuccess && rcode != miekg.RcodeNameError }

func sameName(a, b string) bool { return strings.EqualFold(a, b) }
