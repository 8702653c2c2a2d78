package scaling

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// A Seal identifies a state that holds a secret and so stands masked in the journal.
// It does not tell the state, only whether a text is it: a prior state is put
// together again from the secrets that the environment still has.
type Seal struct {
	Salt []byte `json:"salt"`
	Sum  []byte `json:"sum"` // PBKDF2 of the state, by HMAC-SHA-256
}

// sealRounds makes the guessing of a weak secret slow; one takes some milliseconds.
const sealRounds = 20_000

// sealed returns the seal of a state that is not as it is masked, and nil for others.
func sealed(state, masked string) *Seal {
	if state == masked {
		return nil
	}
	s := &Seal{Salt: make([]byte, 16)}
	_, _ = rand.Read(s.Salt) // never fails
	s.Sum = s.sum(state)
	return s
}

func (s *Seal) sum(state string) []byte {
	key, err := pbkdf2.Key(sha256.New, state, s.Salt, sealRounds, sha256.Size)
	if err != nil {
		return nil // only where FIPS 140 forbids the salt, which is long enough
	}
	return key
}

// is reports whether a text is the state that was sealed.
func (s *Seal) is(text string) bool {
	sum := s.sum(text)
	return sum != nil && bytes.Equal(sum, s.Sum)
}

// seals are those of the states of a step that a journal has and that could not be
// put together again.
type seals struct{ before, after *Seal }

// unseal puts a state of a journal together again from the secrets that are known.
// Where it can't, it returns the state as it is masked, and its seal.
func (x *Executor) unseal(masked string, seal *Seal) (string, *Seal) {
	if seal == nil {
		return masked, nil
	}
	if state, ok := x.env.Secrets.Unmask(masked, seal.is); ok {
		return state, nil
	}
	return masked, seal
}

// compareSealed looks whether what is there now is one of a step's states that
// could not be put together.
func (x *Executor) compareSealed(index int, now string) {
	was, seals := &x.states[index], &x.seals[index]
	if seals.before != nil && seals.before.is(now) {
		was.before, seals.before = now, nil
	}
	if seals.after != nil && seals.after.is(now) {
		was.after, seals.after = now, nil
	}
}

// errSealed is why a step of a journal can't be undone, or made again.
func (x *Executor) errSealed(index int) error {
	if x.seals[index].before == nil {
		return nil
	}
	how := x.steps[index].change(x.env).undoes()
	return errors.New(x.clean(fmt.Sprintf("its prior state holds a secret, which the journal does not keep and the environment does not have: undo it by hand (%s)", how)))
}
