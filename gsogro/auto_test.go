package gsogro

import (
	"context"
	"errors"
	"testing"
)

func TestAuto(t *testing.T) {
	k := newFake(t)
	k.wanted[TxGSO], k.wanted[TxTSO6] = false, false
	// the more of GSO and the less of GRO, the better; TSO6 makes no difference
	score := func() float64 {
		v := 100.0
		if k.wanted[TxGSO] {
			v += 50
		}
		if k.wanted[RxGRO] {
			v -= 10
		}
		return v
	}
	trials, err := k.conn().Auto(t.Context(), "v0", &AutoConfig{Measure: func(context.Context) (float64, error) { return score(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, tr := range trials {
		kept[tr.Feature] = tr.Kept
	}
	if len(trials) != 3 || !kept[TxGSO] || kept[RxGRO] || kept[TxTSO6] {
		t.Errorf("trials %+v, want GSO alone to be kept", trials)
	}
	if !k.wanted[TxGSO] || k.wanted[RxGRO] || k.wanted[TxTSO6] {
		t.Errorf("the device has %v", k.wanted)
	}
}

func TestAutoTakesBackWhenItFails(t *testing.T) {
	k := newFake(t)
	boom, n := errors.New("boom"), 0
	_, err := k.conn().Auto(t.Context(), "v0", &AutoConfig{Rounds: 1, Measure: func(context.Context) (float64, error) {
		if n++; n == 2 {
			return 0, boom
		}
		return 1, nil
	}})
	if !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
	if k.wanted[RxGRO] {
		t.Error("the trial under way was not taken back")
	}
}

func TestAutoRefused(t *testing.T) {
	k := newFake(t)
	k.stuck[RxGRO] = true
	trials, err := k.conn().Auto(t.Context(), "v0", &AutoConfig{Measure: func(context.Context) (float64, error) { return 1, nil }})
	if err != nil || len(trials) != 1 || trials[0].Refused == "" || trials[0].Kept {
		t.Errorf("%+v, %v", trials, err)
	}
}
