package labtest

import "syscall/js"

// servePage answers the page's worker, which calls the function labsPlay. It does not return.
func servePage(answer func(request string) string) bool {
	js.Global().Set("labsPlay", js.FuncOf(func(_ js.Value, args []js.Value) any {
		return answer(args[0].String())
	}))
	js.Global().Call("labsReady")
	select {}
}
