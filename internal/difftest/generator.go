package difftest

import (
	"math/rand/v2"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rpcx-go/rpcx/internal/fill"
)

// Generator makes random inputs for Check: random messages, and what is left
// of them after changes that a parser may have to answer. The same seed makes
// the same inputs. It is not for concurrent use.
type Generator struct {
	types  []protoreflect.MessageType
	rand   *rand.Rand
	filler *fill.Filler
}

// NewGenerator returns a generator of inputs for the given types.
func NewGenerator(types []protoreflect.MessageType, seed uint64) *Generator {
	filler := fill.New(seed)
	// Small inputs are many.
	filler.Values = 30
	return &Generator{types: types, rand: rand.New(rand.NewPCG(seed, 1)), filler: filler}
}

// Next returns an input and the type of message that it is for.
func (g *Generator) Next() (protoreflect.MessageType, []byte) {
	mt := g.types[g.rand.IntN(len(g.types))]
	data := g.message(mt)
	if g.one(3) {
		// What comes twice is merged.
		data = append(data, g.message(mt)...)
	}
	if g.one(2) {
		m := mutator{rand: g.rand}
		data = m.message(mt.Descriptor(), data, mutatedDepth)
	}
	if g.one(4) {
		data = g.damage(data)
	}
	return mt, data
}

// Message returns a random message. It is valid unless it lacks required
// fields, which its type may make unavoidable.
func (g *Generator) Message(mt protoreflect.MessageType) proto.Message {
	m := mt.New()
	g.filler.Fill(m)
	return m.Interface()
}

// message returns the bytes of a random message; none if it cannot be marshalled.
func (g *Generator) message(mt protoreflect.MessageType) []byte {
	data, err := proto.MarshalOptions{AllowPartial: true}.Marshal(g.Message(mt))
	if err != nil {
		return nil
	}
	return data
}

// damage changes bytes without regard to what they mean.
func (g *Generator) damage(data []byte) []byte {
	for range 1 + g.rand.IntN(2) {
		if len(data) == 0 {
			return data
		}
		i := g.rand.IntN(len(data))
		switch g.rand.IntN(5) {
		case 0:
			data = data[:i]
		case 1:
			data[i] ^= 1 << g.rand.IntN(8)
		case 2:
			data[i] = byte(g.rand.Uint32())
		case 3:
			data = append(data[:i:i], data[i+1:]...)
		case 4:
			data = append(data[:i:i], append([]byte{byte(g.rand.Uint32())}, data[i:]...)...)
		}
	}
	return data
}

func (g *Generator) one(n int) bool { return g.rand.IntN(n) == 0 }
