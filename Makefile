.PHONY: check serve

check:
	script/test

serve:
	script/server
