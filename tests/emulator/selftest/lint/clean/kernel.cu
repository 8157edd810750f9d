// Speaks of <<< and __shared__ and asm, and uses none of them; transform() and `transient_asm` are other words.
int transient_asm = 1;
