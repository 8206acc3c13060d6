"""Pure decisions: values in, values out, nothing but the standard library."""
