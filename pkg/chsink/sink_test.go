package chsink

import "testing"

func TestStoresEverythingOnce(t *testing.T) {
	b := newBed(t, 2)
	s := b.start(b.config("a"))
	b.produce(0, month(0, "ann"), month(0, "ben"), month(1, "ann"))
	noted := month(0, "cem")
	noted.Note = "x"
	b.produce(1, noted)
	b.untilStored(exact(4, 1))
	b.untilDone(0, 3)
	b.untilDone(1, 1)
	s.stop()
}
