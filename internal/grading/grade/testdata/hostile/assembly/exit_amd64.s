#include "textflag.h"

TEXT ·exit(SB), NOSPLIT, $0-0
	MOVL $231, AX
	MOVL $0, DI
	SYSCALL
	RET
