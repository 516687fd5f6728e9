package kad

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestPrefix(t *testing.T) {
	k := Key{0b1011_0110, 0b1100_0000}
	tests := []struct {
		n    int
		want string
	}{
		{-1, "*"}, {0, "*"}, {1, "1"}, {4, "1011"}, {8, "10110110"}, {10, "1011011011"},
	}
	for _, tt := range tests {
		if got := PrefixOf(k, tt.n).String(); got != tt.want {
			t.Errorf("PrefixOf(k, %d) = %s, want %s", tt.n, got, tt.want)
		}
	}
	if p := PrefixOf(k, 1000); p.Len() != KeyBits || p.First() != k || p.Last() != k {
		t.Errorf("a prefix is not clamped to %d bits", KeyBits)
	}
	if PrefixOf(k, 2) != PrefixOf(Key{0b1000_0000}, 2) {
		t.Error("equal prefixes of different keys are not ==")
	}
}

func TestPrefixProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, other := keys().Draw(t, "k"), keys().Draw(t, "other")
		n := rapid.IntRange(0, KeyBits).Draw(t, "n")
		p := PrefixOf(k, n)
		first, last := p.First(), p.Last()
		inRange := Compare(&first, &other) <= 0 && Compare(&other, &last) <= 0
		if got := p.Contains(&other); got != inRange {
			t.Fatalf("Contains = %v, but First..Last says %v", got, inRange)
		}
		if !p.Contains(&k) || !p.Contains(&first) || !p.Contains(&last) {
			t.Fatal("a prefix does not contain its own keys")
		}
		if n == KeyBits {
			return
		}
		zero, one := p.Child(0), p.Child(1)
		if zero.First() != first || one.Last() != last || zero.Contains(&last) || one.Contains(&first) {
			t.Fatalf("children %v, %v do not part %v", zero, one, p)
		}
		if zero.Contains(&other) == one.Contains(&other) && p.Contains(&other) {
			t.Fatal("a key is not in exactly one child")
		}
	})
}

func TestBucketPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		self, k := keys().Draw(t, "self"), keys().Draw(t, "k")
		cpl := rapid.IntRange(0, KeyBits-1).Draw(t, "cpl")
		if got, want := BucketPrefix(self, cpl).Contains(&k), CommonPrefixLen(&self, &k) == cpl; got != want {
			t.Fatalf("bucket %d contains a key: %v, want %v", cpl, got, want)
		}
	})
}

func TestRandomPreimage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	self := KeyOf([]byte("self"))
	for cpl := range MaxPreimageBits {
		p := BucketPrefix(self, cpl)
		b := RandomPreimage(rng, p)
		if k := KeyOf(b); !p.Contains(&k) {
			t.Errorf("preimage for bucket %d lies outside of it", cpl)
		}
		if len(b) != 34 || !bytes.HasPrefix(b, []byte{0x12, 0x20}) {
			t.Errorf("preimage %x is no SHA2-256 multihash", b)
		}
		if bytes.Equal(b, RandomPreimage(rng, p)) {
			t.Errorf("bucket %d: twice the same preimage", cpl)
		}
	}
	long := PrefixOf(self, 200)
	if k := KeyOf(RandomPreimage(rng, long)); CommonPrefixLen(&k, &self) < MaxPreimageBits {
		t.Errorf("a long prefix is not cut to %d bits", MaxPreimageBits)
	}
	a, b := RandomPreimage(rand.New(rand.NewPCG(3, 4)), long), RandomPreimage(rand.New(rand.NewPCG(3, 4)), long)
	if !bytes.Equal(a, b) {
		t.Error("the same generator gives different preimages")
	}
}

func BenchmarkRandomPreimage(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	p := PrefixOf(KeyOf([]byte("p")), 8)
	for b.Loop() {
		RandomPreimage(rng, p)
	}
}
