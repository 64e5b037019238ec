"""The picture of `pattern.ivf`: 60 frames, I420, on standard output."""
import sys
W, H, N = 320, 240, 60
state = 1
def noise():
    global state
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return state >> 16
tile = [noise() % 20 for _ in range(64 * 64)]
def bounce(n, step, span):
    at = (n * step) % (2 * span)
    return at if at < span else 2 * span - at
out = sys.stdout.buffer
for n in range(N):
    sx, sy = bounce(n, 7, W - 48), bounce(n, 5, H - 48)
    luma, blue, red = bytearray(), bytearray(), bytearray()
    for y in range(H):
        for x in range(W):
            v = 60 + (x + n) // 40 % 4 * 24 + y // 60 * 10 + tile[(y % 64) * 64 + (x + n) % 64]
            if sx <= x < sx + 48 and sy <= y < sy + 48:
                v = 200 + ((x - sx) // 12 + (y - sy) // 12) % 2 * 30
            if y < 12:
                v = 235 if x // 10 < 6 and n >> (5 - x // 10) & 1 else 16
            luma.append(v)
    for y in range(H // 2):
        for x in range(W // 2):
            inside = sx // 2 <= x < sx // 2 + 24 and sy // 2 <= y < sy // 2 + 24
            blue.append(110 + (x + n) // 40 % 3 * 20)
            red.append(190 if inside else 120 + y // 30 % 3 * 18)
    out.write(luma + blue + red)
