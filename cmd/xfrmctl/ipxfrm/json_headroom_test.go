package ipxfrm

import (
	"encoding/json"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func TestJSONHeadroom(t *testing.T) {
	esn := func(hi, lo uint32) *netlinkx.SA {
		return &netlinkx.SA{Flags: netlinkx.FlagESN, ReplayESN: &netlinkx.ReplayESN{OSeqHi: hi, OSeq: lo}}
	}
	plain := func(n uint32) *netlinkx.SA { return &netlinkx.SA{Replay: &netlinkx.ReplayState{OSeq: n}} }
	may := func(sa *netlinkx.SA) *netlinkx.SA {
		sa.ExtraFlags = netlinkx.ExtraOSeqMayWrap
		return sa
	}
	crypt := func(name string) *netlinkx.SA {
		sa := may(plain(7))
		sa.Crypt = &netlinkx.Algo{Name: name}
		return sa
	}
	gcm := may(plain(7))
	gcm.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))"}
	for _, tt := range []struct {
		name string
		sa   *netlinkx.SA
		want string
	}{
		{"nothing sent", plain(0), `null`},
		{"no state", &netlinkx.SA{}, `null`},
		{"may wrap", crypt("cbc(aes)"), `null`},
		{"counter mode cannot", gcm, `{"used":7,"limit":4294967295,"left_percent":99.999}`},
		{"nor can this one", crypt("rfc3686(ctr(aes))"), `{"used":7,"limit":4294967295,"left_percent":99.999}`},
		{"nor can esn", may(esn(1<<30, 0)), `{"used":4611686018427387904,"limit":18446744073709551615,"left_percent":75}`},
		{"little used", plain(1), `{"used":1,"limit":4294967295,"left_percent":99.999}`},
		{"three quarters", plain(3221225472), `{"used":3221225472,"limit":4294967295,"left_percent":24.999}`},
		{"all used", plain(1<<32 - 1), `{"used":4294967295,"limit":4294967295,"left_percent":0}`},
		{"large window", &netlinkx.SA{ReplayESN: &netlinkx.ReplayESN{OSeq: 5}}, `{"used":5,"limit":4294967295,"left_percent":99.999}`},
		{"esn", esn(1<<30, 9), `{"used":4611686018427387913,"limit":18446744073709551615,"left_percent":75}`},
		{"esn, all used", esn(1<<32-1, 1<<32-1), `{"used":18446744073709551615,"limit":18446744073709551615,"left_percent":0}`},
	} {
		b, err := json.Marshal(NewHeadroom(tt.sa))
		if err != nil || string(b) != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.name, b, err, tt.want)
		}
	}
}
