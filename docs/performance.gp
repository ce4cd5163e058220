# gnuplot docs/performance.gp, in the repository's root: docs/performance.svg from docs/performance.dat. `./dev bench`
# gives it other files.
if (!exists("data")) data = "docs/performance.dat"
if (!exists("picture")) picture = "docs/performance.svg"
stats data index 0 every ::2::2 using 2 name "width48" nooutput
stats data index 1 every ::0::0 using ($2 / $1 * 1e3) name "tokens512" nooutput
set terminal svg size 900,400 font "sans-serif,13" background "white"
set output picture
set multiplot layout 1,2
set logscale xy 2
set grid
set key top left reverse Left
set xlabel "head width d"
set ylabel "microseconds"
set title "One token and head, one core, against width: d^2"
set xrange [14:600]
set xtics (16, 32, 64, 128, 256, 512)
plot data index 0 using 1:2 with linespoints lw 2 pt 7 title "ns5, forward + backward", \
     "" index 0 using 1:3 with linespoints lw 2 pt 5 title "raw", \
     width48_max * (x / 48) ** 2 with lines dashtype 2 lc "gray40" title "d^2", \
     width48_max * (x / 48) ** 3 with lines dashtype 3 lc "gray60" title "d^3"
unset logscale y
set logscale y 10
set ytics auto
set format y "%g"
set key bottom right
set xlabel "tokens S, head width 48"
set ylabel "milliseconds"
set title "One head, one core, against length: S"
set xrange [400:80000]
set yrange [1:1000]
set xtics ("512" 512, "2,048" 2048, "8,192" 8192, "32,768" 32768)
plot data index 1 using 1:($2 * 1e3) with linespoints lw 2 pt 7 title "ns5, forward + backward", \
     x * tokens512_max with lines dashtype 2 lc "gray40" title "S"
