package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/monmod/monmod/internal/control"
)

// A bundle that somebody wrote by hand is used again, with other runtimes too. So
// a container's end gives its specification back as it was; engines remove theirs.

// keepOriginal puts the specification as it is aside, and notes what it becomes.
func keepOriginal(p *control.Plan, b *Bundle, rewritten []byte) error {
	sum := sha256.Sum256(rewritten)
	p.Spec, p.Rewritten = b.Path, hex.EncodeToString(sum[:])
	if err := os.WriteFile(original(p), b.data, 0o600); err != nil {
		return fmt.Errorf("keep the specification as it was: %w", err)
	}
	return nil
}

// giveBack undoes the rewriting, where nobody has written the specification since.
func giveBack(p *control.Plan) error {
	before, err := os.ReadFile(original(p))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not rewritten yet, or done
	}
	if err != nil {
		return fmt.Errorf("give %s back as it was: %w", p.Spec, err)
	}
	now, err := os.ReadFile(p.Spec)
	if sum := sha256.Sum256(now); err != nil || hex.EncodeToString(sum[:]) != p.Rewritten {
		return nil // the engine has removed or replaced it
	}
	return store(p.Spec, before)
}

func original(p *control.Plan) string { return filepath.Join(p.Dir(), defaultConfig) }
