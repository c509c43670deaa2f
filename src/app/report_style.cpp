#include "app/report_style.hpp"

namespace joulery::app {

// Contrast of text is 4.5:1 or more in both schemes, of lines and bars 3:1.
const char* report_style() {
  return R"css(
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#50575f;--edge:#c9ced4;--card:#f4f6f8;
--machine:#5b6470;--run:#0b5cad;--good:#176b35;--warn:#8a4b00;--bad:#a3172a;
--p0:#0b5cad;--p1:#3f6fa3;--p2:#8a5a00;--p3:#6b7280;--on:#fff;--d0:#7a3fa0;--d1:#8a5a00;--d2:#0f6e6e;--d3:#a3172a}
@media (prefers-color-scheme:dark){:root{--page:#14171a;--ink:#e8eaed;--soft:#b1b8c0;--edge:#454c54;--card:#1e2328;
--machine:#a2abb5;--run:#6db3ff;--good:#73cf90;--warn:#f0b35e;--bad:#ff8d99;
--p0:#6db3ff;--p1:#9cc4ee;--p2:#e0ab52;--p3:#a2abb5;--on:#101315;--d0:#c99bea;--d1:#e0ab52;--d2:#5fd0d0;--d3:#ff8d99}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1rem;background:var(--page);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:break-word}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0}
h2{font-size:1.3rem;line-height:1.3;margin:2.2rem 0 .5rem;border-top:1px solid var(--edge);padding-top:.8rem}
h3{font-size:1.1rem;margin:1.6rem 0 .4rem}h4{font-size:1rem;margin:1rem 0 .2rem}
p{margin:.5rem 0;max-width:46rem}ul{padding-left:1.2rem}
code{font:.9em/1.4 ui-monospace,Consolas,"DejaVu Sans Mono",monospace;background:var(--card);padding:.1em .3em;border-radius:3px}
.soft{color:var(--soft)}.small{font-size:.9rem}
.short{background:var(--card);border-left:.3rem solid var(--run);padding:.6rem 1rem;margin:1rem 0}
.short dt{font-weight:700}.short dd{margin:0 0 .6rem}
.note{border-left:.3rem solid var(--warn);background:var(--card);padding:.5rem 1rem;margin:.8rem 0}
.note.bad{border-color:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(14rem,100%),1fr));gap:.8rem;margin:1rem 0;padding:0;list-style:none}
.cards li{background:var(--card);border:1px solid var(--edge);border-radius:6px;padding:.7rem .9rem}
.cards h3,.cards h4{margin:0;font-size:1rem;font-weight:400;color:var(--soft)}
.value{display:block;font-size:1.45rem;font-weight:700;line-height:1.3}
.tag{display:inline-block;border:1px solid currentColor;border-radius:1rem;padding:0 .55rem;font-size:.85rem}
.tag.measured,.tag.derived{color:var(--good)}.tag.modelled,.tag.assumed{color:var(--warn);border-style:dashed}
table{border-collapse:collapse;width:100%;margin:.5rem 0;font-size:.95rem}
caption{text-align:left;color:var(--soft);padding:.2rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--edge)}
thead th{border-bottom:2px solid var(--edge)}tbody th{font-weight:600}
.long,nav a{overflow-wrap:anywhere}th.long{min-width:5.5rem}tbody th div,tbody th{font-weight:600}tbody th .soft{font-weight:400}
.number{font-variant-numeric:tabular-nums}
.wide{overflow-x:auto;max-width:100%}.wide table{overflow-wrap:normal}
details{margin:.5rem 0;border:1px solid var(--edge);border-radius:6px;padding:.3rem .8rem}
summary{cursor:pointer;padding:.2rem 0}
:focus-visible{outline:3px solid var(--run);outline-offset:2px}
.skip{position:absolute;left:-99rem}.skip:focus{position:static}
.chart{margin:.8rem 0}.plot{display:grid;grid-template-columns:3.2rem minmax(0,1fr);grid-template-rows:16rem 1.5rem auto}
.plot>svg{grid-column:2;grid-row:1;width:100%;height:100%;overflow:visible;border-left:1px solid var(--soft);border-bottom:1px solid var(--soft)}
.y{grid-column:1;grid-row:1;position:relative}.y span{position:absolute;right:.4rem;transform:translateY(50%)}
.x{grid-column:2;grid-row:2;position:relative}.x span{position:absolute;transform:translateX(-50%)}
.y-name{margin-bottom:.7rem}.y,.x,.x-name,.y-name{font-size:.85rem;color:var(--soft)}.x-name{grid-column:2;text-align:right}
.grid{stroke:var(--edge);stroke-width:1}.line,.grid{fill:none;vector-effect:non-scaling-stroke}
.line{stroke-width:2}.line.machine{stroke:var(--machine)}.line.workload{stroke:var(--run);stroke-width:2.5}
.line.device0{stroke:var(--d0);stroke-dasharray:8 3}.line.device1{stroke:var(--d1);stroke-dasharray:2 3}
.line.device2{stroke:var(--d2);stroke-dasharray:8 3 2 3}.line.device3{stroke:var(--d3);stroke-dasharray:4 4}
.line.machine{stroke-dasharray:5 2}
.band{stroke:none!important;opacity:.22}.band.machine{fill:var(--machine)}.band.workload{fill:var(--run)}
.legend{list-style:none;padding:0;margin:.5rem 0}.swatch{width:2.5rem;height:.8rem;margin-right:.5rem;vertical-align:middle}
.bar{display:flex;height:2.2rem;gap:2px;margin:.8rem 0}.bar span{min-width:2px;color:var(--on);text-align:center;font-weight:700;line-height:2.2rem;overflow:hidden}
.part0{background:var(--p0)}.part1{background:var(--p1)}.part2{background:var(--p2)}.part3{background:var(--p3)}
.bar span,.tag{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.advice{padding:0;list-style:none;counter-reset:advice}
.advice>li{border:1px solid var(--edge);border-radius:6px;padding:.6rem .9rem;margin:.7rem 0}
.advice h3,.advice h4{margin:0}.effect{font-weight:700}
nav ul{padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem}
a{color:var(--run)}footer{margin-top:2.5rem;border-top:1px solid var(--edge);padding-top:.8rem;color:var(--soft);font-size:.9rem}
@media (max-width:34rem){.plot{grid-template-rows:13rem 1.5rem auto;grid-template-columns:2.6rem minmax(0,1fr)}th,td{padding-right:.4rem}table{font-size:.88rem}}
@media print{:root{color-scheme:light;--page:#fff;--ink:#000;--soft:#333;--edge:#999;--card:#fff;--machine:#555;--run:#0b5cad;
--good:#176b35;--warn:#8a4b00;--bad:#a3172a;--p0:#0b5cad;--p1:#3f6fa3;--p2:#8a5a00;--p3:#6b7280;--on:#fff;--d0:#7a3fa0;--d1:#8a5a00;--d2:#0f6e6e;--d3:#a3172a}
body{max-width:none;padding:0;font-size:10.5pt}h2,h3,h4{break-after:avoid}figure,.cards li,.advice>li,tr{break-inside:avoid}
nav,.skip{display:none}.wide{overflow:visible}details::details-content{content-visibility:visible;height:auto}}
)css";
}

}  // namespace joulery::app
