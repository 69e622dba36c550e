package runtime

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/monmod/monmod/internal/version"
)

// features prints what the low-level runtime can do, and what is added here:
// engines learn which annotations must not come from just anyone.
func (w *wrapper) features(inv *Invocation) error {
	out, err := runLowLevel(w.lowLevel, inv.Args...)
	if err != nil {
		return err
	}
	f := object{}
	if err := json.Unmarshal(out, &f); err != nil {
		return fmt.Errorf("read what %s features printed: %w", w.lowLevel, err)
	}
	if f == nil {
		return fmt.Errorf("read what %s features printed: there is no object in it", w.lowLevel)
	}
	const unsafeKey = "potentiallyUnsafeConfigAnnotations"
	list, err := f.list(unsafeKey)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(d json.RawMessage) bool { return text(d) == AnnotationPrefix }) {
		own, err := encode(AnnotationPrefix)
		if err != nil {
			return err
		}
		if err := f.set(unsafeKey, append(list, own)); err != nil {
			return err
		}
	}
	annotations, err := f.member("annotations")
	if err != nil {
		return err
	}
	if err := annotations.set("org.monmod.version", version.Number); err != nil {
		return err
	}
	if err := f.set("annotations", annotations); err != nil {
		return err
	}
	data, err := json.MarshalIndent(f, "", "    ")
	if err != nil {
		return fmt.Errorf("encode the features: %w", err)
	}
	_, err = fmt.Fprintln(w.stdout, string(data))
	return err
}
