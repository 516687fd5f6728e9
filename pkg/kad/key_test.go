package kad

import (
	"crypto/sha256"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// keys draws keys, many of which share long prefixes.
func keys() *rapid.Generator[Key] {
	return rapid.Custom(func(t *rapid.T) Key {
		var k Key
		copy(k[rapid.IntRange(0, len(k)-1).Draw(t, "zero bytes"):], rapid.SliceOfN(rapid.Byte(), 0, len(k)).Draw(t, "bytes"))
		return k
	})
}

// bigDistance is the slow twin of Distance.
func bigDistance(a, b Key) *big.Int {
	x, y := new(big.Int).SetBytes(a[:]), new(big.Int).SetBytes(b[:])
	return x.Xor(x, y)
}

func TestKeyOf(t *testing.T) {
	if got, want := KeyOf([]byte("holdfast")), Key(sha256.Sum256([]byte("holdfast"))); got != want {
		t.Fatalf("KeyOf = %v, want %v", got, want)
	}
	if p := NewPeer("id"); p.Key != KeyOf([]byte("id")) || p.ID != "id" {
		t.Fatalf("NewPeer = %v", p)
	}
	if s := (Key{0xab, 7: 0x01, 8: 0xff}).String(); s != "ab00000000000001" {
		t.Fatalf("String = %q", s)
	}
}

func TestBit(t *testing.T) {
	k := Key{0: 0b1010_0000, 31: 1}
	var set []int
	for i := range KeyBits {
		if k.Bit(i) == 1 {
			set = append(set, i)
		}
	}
	if want := []int{0, 2, 255}; !slices.Equal(set, want) {
		t.Fatalf("bits set: %v, want %v", set, want)
	}
}

func TestDistanceAgainstBigInt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target, a, b := keys().Draw(t, "target"), keys().Draw(t, "a"), keys().Draw(t, "b")
		da, db := bigDistance(target, a), bigDistance(target, b)
		if got, want := CompareDistance(&target, &a, &b), da.Cmp(db); got != want {
			t.Errorf("CompareDistance = %d, want %d", got, want)
		}
		d := Distance(&target, &a)
		if new(big.Int).SetBytes(d[:]).Cmp(da) != 0 {
			t.Errorf("Distance = %x, want %x", d, da)
		}
		if got, want := CommonPrefixLen(&target, &a), KeyBits-da.BitLen(); got != want {
			t.Errorf("CommonPrefixLen = %d, want %d", got, want)
		}
		if got, want := Compare(&a, &b), new(big.Int).SetBytes(a[:]).Cmp(new(big.Int).SetBytes(b[:])); got != want {
			t.Errorf("Compare = %d, want %d", got, want)
		}
	})
}

func TestCompareDistanceOfEachBit(t *testing.T) {
	var target, near Key
	for i := range KeyBits {
		far := target
		far[i>>3] |= 1 << (7 - i&7)
		if CompareDistance(&target, &near, &far) != -1 || CompareDistance(&target, &far, &near) != 1 {
			t.Fatalf("bit %d is not compared", i)
		}
		if got := CommonPrefixLen(&target, &far); got != i {
			t.Fatalf("CommonPrefixLen = %d, want %d", got, i)
		}
	}
	if CompareDistance(&target, &near, &near) != 0 || CommonPrefixLen(&target, &near) != KeyBits {
		t.Fatal("equal keys differ")
	}
}

func BenchmarkCompareDistance(b *testing.B) {
	target, x, y := KeyOf([]byte("t")), KeyOf([]byte("x")), KeyOf([]byte("y"))
	b.ReportAllocs()
	for b.Loop() {
		CompareDistance(&target, &x, &y)
	}
}

func BenchmarkCommonPrefixLen(b *testing.B) {
	x, y := KeyOf([]byte("x")), KeyOf([]byte("y"))
	for b.Loop() {
		CommonPrefixLen(&x, &y)
	}
}
