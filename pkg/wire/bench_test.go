package wire

import "testing"

func BenchmarkAppend(b *testing.B) {
	plain := answer(20, 2)
	raw := answer(20, 2)
	for i := range raw.CloserPeers {
		raw.CloserPeers[i].Raw = AppendPeer(nil, &raw.CloserPeers[i])
	}
	for name, m := range map[string]*Message{"plain": plain, "raw": raw} {
		b.Run(name, func(b *testing.B) {
			buf := m.Append(nil)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				buf = m.Append(buf[:0])
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	in := answer(20, 2).Append(nil)
	b.Run("fresh", func(b *testing.B) {
		b.SetBytes(int64(len(in)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("reused", func(b *testing.B) {
		var m Message
		b.SetBytes(int64(len(in)))
		b.ReportAllocs()
		for b.Loop() {
			if err := m.Parse(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
